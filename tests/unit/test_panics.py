"""What is left of a panic of DataFusion's, whose exception is no ``Exception``: an error like others, and an answer."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql.engine.running import Running
from jammi_sql.errors import Error, InternalError, OperationalError
from jammi_sql.errors_datafusion import is_panic
from jammi_sql.flight.calls import Door

Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
DAMAGED = b"PAR1" * 8
"""A Parquet file whose footer is longer than the file: DataFusion 55 panics over it."""


class Panicking:
    """A source of batches that gives none."""

    schema = pa.schema([])

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        raise Panic("out of range")

    async def anext_batch(self) -> pa.RecordBatch | None:
        raise Panic("out of range")

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class Answered:
    """A call of gRPC's as far as its answer."""

    answer: tuple[Any, str] | None = None

    def invocation_metadata(self) -> None: ...

    async def abort(self, code: Any, text: str, trailers: Any) -> None:
        self.answer = code, text


def test_a_damaged_file_is_an_error_and_the_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "damaged.parquet").write_bytes(DAMAGED)
    with jammi_sql.connect() as conn:
        conn.execute("CREATE TABLE t (a BIGINT)")
        with pytest.raises(Error):
            conn.execute(f"SELECT * FROM '{tmp_path}/damaged.parquet'").fetchall()
        with pytest.raises(OperationalError, match="stdin cannot be read"):
            conn.execute("COPY t FROM stdin (FORMAT parquet)", stdin=io.BytesIO(DAMAGED))
        conn.execute(f"ATTACH '{tmp_path}' AS files")
        with pytest.raises(OperationalError, match=r"damaged.parquet cannot be read"):
            conn.execute("SELECT * FROM files.public.damaged").fetchall()
        assert conn.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_a_statement_and_its_result_raise_an_error() -> None:
    running = Running()
    with pytest.raises(InternalError, match="out of range"), running.begin(None, "SELECT 1", None):
        raise Panic("out of range")
    with running.begin(None, "SELECT 1", None):
        source = running.watch(Panicking())
    with pytest.raises(InternalError, match="out of range"):
        source.next_batch(None)
    with pytest.raises(InternalError, match="out of range"):
        asyncio.run(source.anext_batch())


def test_what_is_no_panic_stays_what_it_is() -> None:
    assert not is_panic(KeyboardInterrupt()) and not is_panic(ValueError())
    running = Running()
    with pytest.raises(KeyboardInterrupt), running.begin(None, "SELECT 1", None):
        raise KeyboardInterrupt


def test_a_client_gets_an_answer_whatever_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def panics(call: Any) -> None:
        raise Panic("out of range")

    class Letting(Door):
        async def _call(self, context: Any) -> Any:
            raise Panic("out of range")

    context = Answered()
    asyncio.run(Letting(None, None, None).through("DoGet", context, panics))  # type: ignore[arg-type] # nobody comes in
    assert context.answer is not None
    assert context.answer[0] == grpc.StatusCode.INTERNAL
    assert "out of range" not in context.answer[1]  # which is for the log
    assert "out of range" in caplog.text
