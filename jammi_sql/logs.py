"""Logs as lines of JSON.

The loggers below ``jammi_sql`` say what an operator is to know: what failed and goes on all the same. Their records carry
names and numbers as fields (``extra``), and never a value of a row, a parameter, a password or a token.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from datetime import UTC, datetime
from typing import IO, Any, Final, Literal

import orjson

from .errors import Error

__all__ = ["JsonFormatter", "TextFormatter", "about", "configure", "reason"]

# What the logging library itself gives every record; all else came with ``extra``.
_OWN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def about(error: BaseException | None = None, **fields: str | int) -> dict[str, str | int]:
    """The fields of a record, for ``extra``: those given, and the class and SQLSTATE of ``error``.

    Names in use: ``topic``, ``offset``, ``store``, ``broker``, ``path``, ``source``.
    """
    found = dict(fields)
    if error is not None:
        found["error"] = type(error).__name__
        if isinstance(error, Error):
            found["sqlstate"] = error.sqlstate
    return found


def reason(error: BaseException) -> str:
    """What a message says of an error. Of one of somebody else's, which may quote a value, no more than its class."""
    if isinstance(error, Error):
        return error.message
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror or 'without a reason'}"
    return type(error).__name__


def _trace(error: BaseException) -> list[str]:
    """Where it was raised. Its message is left out: that of a library may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class TextFormatter(logging.Formatter):
    """A line for people; of an exception, its class and where it was raised."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """As ``logging.Formatter.format``."""
        own = copy(record)
        own.exc_text = None  # formatters leave it to the next one, whole as the first one made it
        return super().format(own)

    def formatException(self, ei: Any) -> str:
        """As ``logging.Formatter.formatException``."""
        return "\n".join((type(ei[1]).__name__, *_trace(ei[1])))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (RFC 3339 in UTC, microseconds), ``level``, ``logger``, ``message``, the fields.

    A record with an exception has ``error`` (its class), ``sqlstate`` where it has one, and ``trace``, where it was raised,
    without its message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line.update(about(error))
            line["trace"] = _trace(error)
        for name, value in vars(record).items():
            if name not in _OWN and name not in line:
                line[name] = value
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(
    format: Literal["text", "json"] = "text",  # noqa: A002 - the name of the option
    *,
    level: int | str = logging.INFO,
    stream: IO[str] | None = None,
) -> logging.Handler:
    """Write what the loggers below ``jammi_sql`` say to ``stream`` (default: standard error).

    For programs that set up no logging of their own: handlers of the root logger get the records too. Called again, it
    replaces what it did before. Returns the handler.
    """
    logger = logging.getLogger("jammi_sql")
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Handler)]:
        logger.removeHandler(handler)
    handler = _Handler(stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    return handler


class _Handler(logging.StreamHandler[Any]):
    """The one of ``configure``."""

    def emit(self, record: logging.LogRecord) -> None:
        """As ``logging.StreamHandler.emit``."""
        lines = getattr(_gathering, "lines", None)
        if lines is None:
            super().emit(record)
        else:
            try:
                lines.setdefault(self, []).append(self.format(record) + self.terminator)
            except Exception:
                self.handleError(record)

    def write(self, lines: list[str]) -> None:
        """Write what was gathered."""
        try:
            with self.lock or nullcontext():
                self.stream.write("".join(lines))
                self.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": f"{len(lines)} lines are lost"}))


_gathering = threading.local()


@contextmanager
def gathered() -> Iterator[None]:
    """Within, on this thread, the handler of ``configure`` keeps its lines, and writes all of them at once at the end: a
    call of the system for each takes longer than to make it."""
    lines: dict[_Handler, list[str]] = {}
    _gathering.lines = lines
    try:
        yield
    finally:
        _gathering.lines = None
        for handler, texts in lines.items():
            handler.write(texts)
