"""Standard input of COPY ... FROM, kept in a file for as long as the statement."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from jammi_sql.engine.standard_input import StandardInput
from jammi_sql.errors import DataError, InvalidParameter


@pytest.mark.parametrize("stream", [io.BytesIO("ä\n".encode()), io.StringIO("ä\n")])
def test_it_is_read_once_however_often_the_statement_is_tried(stream: io.IOBase) -> None:
    given = StandardInput(stream)
    first = given.path(".csv")
    assert given.path(".csv") == first and first.endswith(".csv")
    assert Path(first).read_bytes() == "ä\n".encode()
    given.close()
    assert not Path(first).exists()
    given.close()


def test_what_is_no_stream_and_what_a_stream_raises_are_errors() -> None:
    with pytest.raises(InvalidParameter, match="not a file"):
        StandardInput("x.csv")

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ValueError("the line is dead")

    with pytest.raises(DataError, match="the line is dead"):
        StandardInput(Broken()).path(".csv")

    class Numbers(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return 7  # type: ignore[return-value]

    with pytest.raises(InvalidParameter, match="gives int"):
        StandardInput(Numbers()).path(".csv")
