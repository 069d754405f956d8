"""A database behind any ADBC driver, attached: here SQLite's and DuckDB's, as if nothing were known of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from jammi_sql.errors import Error, InvalidParameter
from jammi_sql.sources import Source
from jammi_sql.sources.opening import open_source
from tests.sources.support import column_of, define, never, rows_of, values_of


@pytest.fixture(params=["sqlite", "duckdb"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    """A file with one table and one view."""
    texts = (
        "CREATE TABLE t (a BIGINT, b TEXT)",
        "INSERT INTO t VALUES (1, 'x'), (2, NULL)",
        "CREATE VIEW v AS SELECT a FROM t",
    )
    path = str(tmp_path / "there")
    if request.param == "sqlite":
        connection = sqlite3.connect(path)
        for text in texts:
            connection.execute(text)
        connection.commit()
        connection.close()
        found = open_source(define(path, "adbc", driver="adbc_driver_sqlite", dialect="sqlite"))
    else:
        with duckdb.connect(path) as connection:
            for text in texts:
                connection.execute(text)
        found = open_source(
            define(
                "", "adbc", driver="adbc_driver_duckdb", entrypoint="duckdb_adbc_init", path=path, **{"db.threads": "1"}
            )
        )
    yield found
    found.close()


def test_what_the_driver_says_is_the_catalogue(source: Source) -> None:
    assert "main" in source.schemas()
    assert source.relation_names("main") == ["t", "v"]
    view = source.relation("main", "v")
    assert view is not None and view.kind == "view"
    assert source.relation("main", "nothing") is None
    assert source.relation("nowhere", "t") is None
    assert rows_of(source, "main", "t").to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_whole_numbers_are_compared_there_and_texts_are_not(source: Source) -> None:
    assert column_of(source, "main", "t", "a").comparable
    assert not column_of(source, "main", "t", "b").comparable


def test_a_query_is_described(source: Source) -> None:
    assert [column.type for column in source.describe("SELECT a FROM t;", never)] == [pa.int64()]
    with pytest.raises(Error):
        source.describe("SELECT nope FROM t", never)


def test_what_is_written_is_one_transaction(source: Source) -> None:
    source.execute(["INSERT INTO t VALUES (3, 'y')"], never)
    with pytest.raises(Error):
        source.execute(["INSERT INTO t VALUES (4, 'z')", "INSERT INTO nowhere VALUES (1)"], never)
    assert values_of(source, "main", "t", "a") == [1, 2, 3]
    rows = pa.table({"a": [5], "b": ["w"]})
    assert source.ingest("main", "t", rows.to_reader(), "append", never) == 1
    assert values_of(source, "main", "t", "a") == [1, 2, 3, 5]


def test_a_driver_is_needed_and_must_be_there() -> None:
    with pytest.raises(InvalidParameter, match="driver"):
        open_source(define("x", "adbc"))
    source = open_source(define("x", "adbc", driver="no_such_driver_at_all"))
    with pytest.raises(Error):
        source.schemas()
