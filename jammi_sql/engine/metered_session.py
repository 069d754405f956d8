"""A session whose statements are measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

import pyarrow as pa

from ..dialect import Parsed
from ..errors import Error
from ..metrics.recorder import Recorder
from ..results import Result
from .session import Session

__all__ = ["metered_session"]

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_UNKNOWN: Final = "unknown"
"""The kind of a text that is no statement."""


def metered_session(recorder: Recorder) -> type[Session]:
    """A ``Session`` that takes down how many statements of which kind there were, how long they took, how they failed."""

    class MeteredSession(Session):
        """As ``Session``."""

        def _run(self, parsed: Parsed, parameters: dict[str, pa.Scalar]) -> Result:
            measured = _Measured(recorder, _kind(type(parsed.statement)))
            with measured.waiting():
                result = super()._run(parsed, parameters)
            if result.schema is None or not result.bounded:
                measured.end()
                return result
            return MeteredResult(result, measured)

        def _parse(self, text: str) -> list[Parsed]:
            try:
                return super()._parse(text)
            except Error as error:
                recorder.began(_UNKNOWN)
                recorder.failed(_UNKNOWN, error.sqlstate)
                raise

        def execute_many(self, text: str, parameters: pa.RecordBatchReader) -> int:
            """As ``Session.execute_many``."""
            measured = _Measured(recorder, "insert")
            with measured.waiting():
                count = super().execute_many(text, parameters)
            measured.end()
            return count

        def ingest(
            self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str, *, temporary: bool = False
        ) -> int:
            """As ``Session.ingest``."""
            measured = _Measured(recorder, "ingest")
            with measured.waiting():
                count = super().ingest(name, reader, mode, temporary=temporary)
            measured.end()
            return count

    return MeteredSession


class _Measured:
    """One statement, from its begin to its end."""

    __slots__ = ("_kind", "_over", "_recorder", "_seconds")

    def __init__(self, recorder: Recorder, kind: str) -> None:
        self._recorder = recorder
        self._kind = kind
        self._seconds = 0.0
        self._over = False
        recorder.began(kind)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Its caller waits for it meanwhile. What it raises is its end, unless it is only that nothing came in time."""
        began = perf_counter()
        try:
            yield
        except TimeoutError:
            self._seconds += perf_counter() - began
            raise
        except Exception as error:
            self._seconds += perf_counter() - began
            if not self._over:
                self._recorder.failed(self._kind, error.sqlstate if isinstance(error, Error) else "XX000")
            self.end()
            raise
        self._seconds += perf_counter() - began

    def end(self) -> None:
        """It is over. May be called again."""
        if not self._over:
            self._over = True
            self._recorder.ended(self._kind, self._seconds)


class MeteredResult:
    """The rows of a statement: the ``Result`` around another one."""

    __slots__ = ("__weakref__", "_measured", "_result")

    def __init__(self, result: Result, measured: _Measured) -> None:
        self._result = result
        self._measured = measured

    @property
    def schema(self) -> pa.Schema | None:
        """As ``Result.schema``."""
        return self._result.schema

    @property
    def rowcount(self) -> int:
        """As ``Result.rowcount``."""
        return self._result.rowcount

    @property
    def bounded(self) -> bool:
        """As ``Result.bounded``."""
        return self._result.bounded

    def next_batch(self, timeout: float | None = None) -> pa.RecordBatch | None:
        """As ``Result.next_batch``."""
        with self._measured.waiting():
            batch = self._result.next_batch(timeout)
        if batch is None:
            self._measured.end()
        return batch

    async def anext_batch(self) -> pa.RecordBatch | None:
        """As ``Result.anext_batch``."""
        with self._measured.waiting():
            batch = await self._result.anext_batch()
        if batch is None:
            self._measured.end()
        return batch

    def cancel(self) -> None:
        """As ``Result.cancel``."""
        self._result.cancel()

    def close(self) -> None:
        """As ``Result.close``."""
        self._measured.end()
        self._result.close()

    def reader(self) -> pa.RecordBatchReader:
        """As ``Result.reader``."""
        if self._result.schema is None:
            return self._result.reader()
        return pa.RecordBatchReader.from_batches(self._result.schema, self._remaining())

    def _remaining(self) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self.next_batch()) is not None:
                yield batch
        finally:
            self.close()

    def __del__(self) -> None:
        # Nobody read it to its end; the result itself sees to what it holds.
        self._measured.end()


def _kind(statement: type) -> str:
    """Of a statement's class: ``create_topic``."""
    return _WORD.sub("_", statement.__name__).lower()
