r"""The commands that begin with ``\``."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..dialect import format_identifier_path, parse_identifier_path
from ..errors import Error, InvalidParameter
from ..tenancy import TenantId
from . import pager, terminal
from .complaint import complaint
from .formats import FORMATS
from .narration import folded, room, say
from .script import Script
from .viewer import ROWS_SHOWN, Viewer

__all__ = ["COMMANDS", "Command", "Commands"]

_BINARY = frozenset({"parquet", "arrow"})
_WATCH = 2.0  # seconds
_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')
_STEP = 0.1  # seconds slept at a stretch, so that Ctrl-C is noticed


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is typed, its argument, and what it does."""

    name: str
    argument: str
    meaning: str


COMMANDS = (
    Command("\\d", "[name]", "topics, tables and views, or the columns of one"),
    Command("\\dt", "", "tables"),
    Command("\\topics", "[pattern]", "topics, or those LIKE the pattern"),
    Command("\\sources", "", "attached databases and files"),
    Command("\\h", "[statement]", "the statements of the language, or the grammar of one"),
    Command("\\timing", "[on|off]", "say how long a statement took"),
    Command("\\format", "[format]", f"of results: {', '.join(FORMATS)}"),
    Command("\\o", "[file]", "write results to a file, or to the terminal again"),
    Command("\\i", "file", "run the statements of a file"),
    Command("\\watch", "[seconds]", "run the last statement again and again, every 2 seconds; Ctrl-C stops"),
    Command("\\tenant", "[uuid|-]", "the tenant of the session, or another one, or none"),
    Command("\\chart", "[line|bar|hist] [along] [column ...]", "draw the last result"),
    Command("\\limit", "[rows|off]", f"rows shown of a result: {ROWS_SHOWN:,} at first"),
    Command("\\pager", "[on|off]", "show long results with $PAGER, or less -S"),
    Command("\\?", "", "this text"),
    Command("\\q", "", "leave (or Ctrl-D)"),
)

_BARE = frozenset(command.name for command in COMMANDS if not command.argument)

HELP = "\n".join(
    [
        "Statements end with ; and may take several lines. Ctrl-C ends the running statement, or drops what was typed.",
        *(f"  {f'{command.name} {command.argument}':24} {command.meaning}" for command in COMMANDS),
    ]
)


class _Refused(Exception):
    """The command cannot be done; says why."""


class Commands:
    """Runs commands on a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._run: dict[str, Callable[[str], None]] = {
            "\\d": self._describe,
            "\\dt": lambda argument: self._sql(_shipped("tables")),
            "\\topics": self._topics,
            "\\sources": lambda argument: self._sql("SHOW SOURCES"),
            "\\h": self._help,
            "\\timing": self._timing,
            "\\format": self._format,
            "\\o": self._output,
            "\\i": self._input,
            "\\watch": self._watch,
            "\\tenant": self._tenant,
            "\\chart": self._chart,
            "\\limit": self._limit,
            "\\pager": self._pager,
            "\\?": lambda argument: self._explain(HELP, 27),
            "\\q": lambda argument: None,  # the prompt knows it
        }

    def run(self, line: str) -> None:
        """Run one command; what is wrong with it is said."""
        name, _, argument = line.strip().rstrip("; ").partition(" ")
        command = self._run.get(name)
        if command is None:
            say(f"there is no {name}; \\? lists the commands")
            return
        argument = argument.strip()
        if argument and name in _BARE:
            say(f"{name} takes nothing after it")
            return
        try:
            command(argument)
        except _Refused as error:
            say(str(error))
        except Error as error:
            say(complaint(error, ""))

    def arguments(self, name: str) -> Iterable[str] | None:
        """What may follow a command, for completion; ``None`` for a path."""
        from .chart import KINDS  # noqa: PLC0415 - pyarrow.compute takes its time
        from .grammar import statement_names  # noqa: PLC0415

        match name:
            case "\\o" | "\\i":
                return None
            case "\\format":
                return FORMATS
            case "\\h":
                return statement_names()
            case "\\timing" | "\\pager":
                return ("on", "off")
            case "\\chart":
                return (*KINDS, *([] if self._viewer.last is None else self._viewer.last.schema.names))
            case _:
                return ()

    def _sql(self, text: str) -> None:
        before = self._viewer.statement
        self._viewer.run(Script(text))
        self._viewer.statement = before  # \watch repeats what was typed

    def _describe(self, name: str) -> None:
        if name:
            self._sql(f"DESCRIBE {format_identifier_path(parse_identifier_path(name))}")
        else:
            self._sql(_shipped("relations"))

    def _topics(self, pattern: str) -> None:
        self._sql(f"SHOW TOPICS LIKE {_literal(pattern)}" if pattern else "SHOW TOPICS")

    def _help(self, words: str) -> None:
        from .grammar import explained, statement_names  # noqa: PLC0415 - reads a file

        if not words:
            self._explain("\n".join(statement_names()))
        else:
            self._explain(explained(words) or f"there is no help for {words}; \\h lists the statements", 4)

    def _explain(self, text: str, indent: int = 0) -> None:
        """Say what may be long, through the pager if it is."""
        lines = folded(text, room(), indent).split("\n")
        if self._viewer.pages(len(lines)):
            pager.page(lines)
        else:
            say("\n".join(lines))

    def _timing(self, word: str) -> None:
        self._viewer.timing = _switch("\\timing", word, self._viewer.timing)
        say(f"timing is {'on' if self._viewer.timing else 'off'}")

    def _pager(self, word: str) -> None:
        self._viewer.paged = _switch("\\pager", word, self._viewer.paged)
        say(f"the pager is {'on' if self._viewer.paged else 'off'}")

    def _limit(self, word: str) -> None:
        if word == "off":
            self._viewer.limit = None
        elif word.isascii() and word.isdigit() and int(word) > 0:
            self._viewer.limit = int(word)
        elif word:
            raise _Refused("\\limit takes a number of rows, or off")
        limit = self._viewer.limit
        say("all rows are shown" if limit is None else f"{limit:,} row{'' if limit == 1 else 's'} are shown at most")

    def _format(self, name: str) -> None:
        if name and name not in FORMATS:
            raise _Refused(f"there is no format {name}; one of {', '.join(FORMATS)}")
        if name in _BINARY and not self._viewer.to_file:
            raise _Refused(f"{name} is not for a terminal: \\o FILE first")
        if name:
            self._viewer.write_as(name)
        say(f"the format is {self._viewer.format_name}")

    def _output(self, path: str) -> None:
        if not path and self._viewer.format_name in _BINARY:
            self._viewer.write_as("table")
        try:
            self._viewer.write_to(str(_place(path)) if path else None)
        except OSError as error:
            raise _Refused(f"{path}: {error.strerror}") from error
        say(f"results go to {path or 'the terminal'}")

    def _input(self, path: str) -> None:
        if not path:
            raise _Refused("\\i takes a file")
        try:
            text = _place(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise _Refused(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise _Refused(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
        self._viewer.run(Script(text, path))

    def _watch(self, word: str) -> None:
        try:
            seconds = float(word) if word else _WATCH
        except ValueError:
            seconds = -1.0
        if not 0 < seconds <= 86_400:
            raise _Refused("\\watch takes a number of seconds, up to a day")
        statement = self._viewer.statement
        if not statement:
            raise _Refused("there is no statement to run again")
        with self._viewer.unpaged():
            while True:
                say(f"{time.strftime('%H:%M:%S')}, every {seconds:g} s; Ctrl-C stops")
                if not self._viewer.run(Script(statement)):
                    return
                end = time.monotonic() + seconds
                while (left := end - time.monotonic()) > 0:
                    time.sleep(min(left, _STEP))

    def _tenant(self, word: str) -> None:
        if word == "-":
            self._sql("RESET tenant")
        elif word:
            try:
                tenant = TenantId(word)
            except InvalidParameter as error:
                raise _Refused(f"\\tenant: {error.message}") from error
            self._sql(f"SET tenant = {_literal(str(tenant))}")
        say(f"the tenant is {self._viewer.connection.tenant or 'none'}")

    def _chart(self, words: str) -> None:
        from .chart import Chart, ChartError, drawn  # noqa: PLC0415 - only a chart needs it

        if self._viewer.last is None:
            raise _Refused("there is no result to draw")
        try:
            chart = Chart.of(self._viewer.last, [_bare(word) for word in _WORD.findall(words)])
            size = (terminal.width(), terminal.room())
            text = drawn(self._viewer.last, chart, *size, colour=terminal.colours())
        except ChartError as error:
            raise _Refused(str(error)) from error
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _bare(word: str) -> str:
    """A column's name without its quotes."""
    return word[1:-1].replace('""', '"') if word[:1] == '"' == word[-1:] and len(word) > 1 else word


def _place(path: str) -> Path:
    """The file that a person names, with ``~`` and ``~user`` for a home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise _Refused(f"{path}: there is no such home") from error


def _shipped(name: str) -> str:
    return (resources.files("jammi_sql.sql") / "console" / f"{name}.sql").read_text(encoding="utf-8")


def _literal(text: str) -> str:
    """The one writer of literals here: a text in quotes, those inside doubled."""
    return "'" + text.replace("'", "''") + "'"


def _switch(name: str, word: str, before: bool) -> bool:
    if word not in ("", "on", "off"):
        raise _Refused(f"{name} takes on or off")
    return not before if not word else word == "on"
