"""COPY: files into topics and tables, and results into files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection
from jammi_sql.errors import (
    DataError,
    Error,
    FeatureNotSupported,
    IntegrityError,
    InvalidParameter,
    OperationalError,
    UndefinedColumn,
    UndefinedTable,
)
from tests.acceptance.language import fails, rows, value


@pytest.fixture(params=["TABLE", "TOPIC"])
def t(conn: Connection, request: pytest.FixtureRequest) -> Connection:
    """``t (id BIGINT NOT NULL, name VARCHAR, at TIMESTAMP, price DECIMAL(10, 2))``, a table or a topic."""
    conn.execute(
        f"CREATE {request.param} t (id BIGINT NOT NULL, name VARCHAR, at TIMESTAMP WITH TIME ZONE, price DECIMAL(10, 2))"
    )
    return conn


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_csv_file_is_cast_to_the_columns_that_its_header_names(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'name,ID,price\n"a, b",1,12.50\n,9007199254740993,\n')
    cursor = t.execute(f"COPY t FROM '{path}'")
    assert cursor.rowcount == 2
    assert rows(t, "SELECT id, name, at, price FROM t ORDER BY id") == [
        (1, "a, b", None, Decimal("12.50")),
        (9007199254740993, None, None, None),
    ]


def test_without_a_header_columns_go_by_their_places(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", "1;2024-01-31 12:00:00;'x'\n2;NA;'y'\n")
    t.execute(f"COPY t (id, at, name) FROM '{path}' (FORMAT csv, header false, delimiter ';', quote '''', null 'NA')")
    assert rows(t, "SELECT id, name, at FROM t ORDER BY id") == [
        (1, "x", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        (2, "y", None),
    ]
    with fails("42601", says="has 3 columns, and there are 4 to fill"):
        t.execute(f"COPY t FROM '{path}' (FORMAT csv, header false, delimiter ';')")


def test_json_parquet_and_arrow_go_by_name(t: Connection, tmp_path: Path) -> None:
    table = pa.table({"price": [Decimal("1.50")], "id": pa.array([2], pa.int32()), "at": [datetime(2024, 1, 1)]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pa.ipc.new_file(tmp_path / "x.arrow", table.schema) as writer:
        writer.write_table(table)
    written(
        tmp_path / "x.json",
        '{"id": 9007199254740993, "name": "n", "price": "1.50", "at": "2024-01-01T00:00:00"}\n{"id": 4, "price": 2.25}\n',
    )
    for ending, count in (("parquet", 1), ("arrow", 1), ("json", 2)):
        assert t.execute("COPY t FROM ?", (f"{tmp_path}/x.{ending}",)).rowcount == count
    new_year = datetime(2024, 1, 1, tzinfo=UTC)
    assert rows(t, "SELECT id, name, at, price FROM t ORDER BY id, price") == [
        (2, None, new_year, Decimal("1.50")), (2, None, new_year, Decimal("1.50")), (4, None, None, Decimal("2.25")),
        (9007199254740993, "n", new_year, Decimal("1.50")),
    ]  # fmt: skip


def test_a_glob_and_a_compressed_file_are_copied_whole(t: Connection, tmp_path: Path) -> None:
    for number in range(3):
        written(tmp_path / f"{number}.csv", f"id\n{number}\n")
    assert t.execute(f"COPY t FROM '{tmp_path}/*.csv'").rowcount == 3
    assert rows(t, "SELECT id FROM t ORDER BY id") == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("id,name\n1,a\n2,b\nx,c\n", 4, "'x'"), ('id,name\n1,"a\nb"\nx,c\n', 4, "'x'"),
        ('id,name\n' + '1,"a\nb"\n' * 10_000 + "x,c\n", 20_002, "'x'"),
        ("id,name\n" + "1,a\n" * 20_000 + "nope,c\n" + "1,a\n" * 10, 20_002, "'nope'"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_cast_is_named_with_its_line_and_nothing_is_kept(
    t: Connection, tmp_path: Path, text: str, line: int, says: str
) -> None:
    path = written(tmp_path / "x.csv", text)
    with fails("22P02", DataError, says=f"x.csv, line {line}: ") as caught:
        t.execute(f"COPY t FROM '{path}'")
    assert says in str(caught.value)
    assert value(t, "SELECT count(*) FROM t") == 0


def test_a_line_with_too_few_values_is_an_error_with_its_line(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,name\n1,a\n2\n")
    with fails("22P04", DataError, says="line 3"):
        t.execute(f"COPY t FROM '{path}'")
    assert value(t, "SELECT count(*) FROM t") == 0


def test_json_that_is_none_is_an_error_and_nothing_is_kept(t: Connection, tmp_path: Path) -> None:
    for text in ('{"id": 1}\n{"id": "x"}\n', '{"id": 1}\n{"id": \n'):
        path = written(tmp_path / "x.json", text)
        with pytest.raises(Error) as caught:
            t.execute(f"COPY t FROM '{path}'")
        assert "x.json" in str(caught.value) and caught.value.hint
    assert value(t, "SELECT count(*) FROM t") == 0


def test_not_null_is_enforced(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,name\n1,a\n,b\n")
    with fails("23502", IntegrityError, hint=False):
        t.execute(f"COPY t FROM '{path}'")
    assert value(t, "SELECT count(*) FROM t") == 0


def test_columns_that_are_not_there_are_refused_with_their_place(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,colour\n1,red\n")
    with fails("42703", UndefinedColumn, says="t has no column colour"):
        t.execute(f"COPY t FROM '{path}'")
    with fails("42703", UndefinedColumn, says="t has no column colour", at=8):
        t.execute(f"COPY t (colour) FROM '{path}'")
    with fails("42703", UndefinedColumn, says="x.csv has no column name", at=8):
        t.execute(f"COPY t (name, id) FROM '{path}'")
    assert t.execute(f"COPY t (id) FROM '{path}'").rowcount == 1


def test_what_cannot_be_copied_is_refused(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id\n1\n")
    with fails("42P01", UndefinedTable, at=5):
        t.execute(f"COPY nobody FROM '{path}'")
    with fails("58P01", OperationalError, says="there is no /nowhere.csv"):
        t.execute("COPY t FROM '/nowhere.csv'")
    with fails("22023", InvalidParameter, says="no option colour"):
        t.execute(f"COPY t FROM '{path}' (colour red)")
    with fails("0A000", FeatureNotSupported, says="standard input"):
        t.execute("COPY t FROM stdin (FORMAT csv)")
    t.execute("CREATE TEMP TABLE mine (id BIGINT)")
    with fails("0A000", FeatureNotSupported, says="in-memory"):
        t.execute(f"COPY mine FROM '{path}'")


def test_a_copy_belongs_to_the_transaction_around_it(t: Connection, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id\n1\n")
    t.execute("BEGIN")
    t.execute(f"COPY t FROM '{path}'")
    assert value(t, "SELECT count(*) FROM t") == 1
    t.execute("ROLLBACK")
    assert value(t, "SELECT count(*) FROM t") == 0


def test_a_column_that_the_file_lacks_gets_its_default(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, state VARCHAR DEFAULT 'new', day DATE)")
    path = written(tmp_path / "x.csv", "id,day\n1,2024-01-31\n")
    conn.execute(f"COPY t FROM '{path}'")
    assert rows(conn, "SELECT * FROM t") == [(1, "new", date(2024, 1, 31))]
    with fails("23505", IntegrityError):
        conn.execute(f"COPY t FROM '{path}'")


def test_rows_keep_the_order_of_the_file_and_large_files_become_several_batches(
    conn: Connection, tmp_path: Path
) -> None:
    conn.execute("CREATE TOPIC t (n BIGINT)")
    path = written(tmp_path / "x.csv", "n\n" + "\n".join(map(str, range(100_000))) + "\n")
    conn.execute(f"COPY t FROM '{path}'")
    assert value(conn, "SELECT max(_offset) FROM t") == 1
    assert value(conn, "SELECT count(*) FROM t WHERE n = _offset * 65536 + _row_idx") == 100_000


def test_files_are_copied_one_after_the_other(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TOPIC t (n BIGINT)")
    for place in range(8):
        table = pa.table({"n": range(place * 1000, place * 1000 + 1000)})
        pq.write_table(table, tmp_path / f"{place}.parquet", row_group_size=100)
    conn.execute(f"COPY t FROM '{tmp_path}'")
    assert value(conn, "SELECT count(*) FROM t WHERE n = _row_idx") == 8000


@pytest.mark.parametrize("stream", [io.BytesIO(b"id,name\n1,a\n"), io.StringIO("id,name\n1,a\n")])
def test_a_program_gives_standard_input_as_an_open_file(conn: Connection, stream: io.IOBase) -> None:
    conn.execute("CREATE TABLE t (id BIGINT, name VARCHAR)")
    with conn.cursor() as cursor:
        assert cursor.execute("COPY t FROM stdin (FORMAT csv)", stdin=stream).rowcount == 1
    assert rows(conn, "SELECT * FROM t") == [(1, "a")]
    with fails("22P02", DataError, says="stdin, line 2: "):
        conn.execute("COPY t FROM stdin (FORMAT csv)", stdin=io.BytesIO(b"id,name\nx,a\n"))
    with fails("22023", InvalidParameter, says="format"):
        conn.execute("COPY t FROM stdin", stdin=io.BytesIO(b""))
    with fails("22023", InvalidParameter, says="not a file"):
        conn.execute("COPY t FROM stdin (FORMAT csv)", stdin=7)


def test_parquet_comes_through_standard_input_too(conn: Connection) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2]}), sink)
    sink.seek(0)
    conn.execute("CREATE TABLE t (id BIGINT)")
    assert conn.execute("COPY t FROM stdin (FORMAT parquet)", stdin=sink).rowcount == 2


@pytest.mark.parametrize("form", ["arrow", "parquet", "csv", "json"])
def test_what_is_not_of_its_format_is_standard_input_in_errors(conn: Connection, form: str) -> None:
    """And not the file that it was put down in, which is the server's where there is one; nor a bug of DataFusion's."""
    conn.execute("CREATE TABLE c (id BIGINT)")
    for data in (b"{garbage\xff\n", b"PAR1" * 8):
        with pytest.raises(Error) as caught:
            conn.execute(f"COPY c FROM stdin (FORMAT {form})", stdin=io.BytesIO(data))
        assert "stdin" in str(caught.value)
        assert "jammi-" not in str(caught.value)
        assert "bug" not in str(caught.value)


def test_the_console_copies_its_standard_input(tmp_path: Path) -> None:
    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        start = "import sys; from jammi_sql.console.main import main; sys.exit(main())"
        command = [sys.executable, "-c", start, str(tmp_path / "store"), *arguments]
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        )

    done = run(
        "-c", "CREATE TOPIC t (id BIGINT, name VARCHAR)", "-c", "COPY t FROM stdin (FORMAT csv)",
        "-c", "SELECT id, name FROM t", "--format", "csv", given="id,name\n1,a\n2,b\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "id,name\n1,a\n2,b\n"), done.stderr
    assert "2 rows" in done.stderr
    refused = run(given="COPY t FROM stdin (FORMAT csv)")
    assert refused.returncode == 1 and "0A000" in refused.stderr


# --- COPY ... TO, which is DataFusion's ------------------------------------------------------------


def test_topics_tables_and_bounded_subscribes_are_copied_to_files(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TOPIC e (id BIGINT)")
    conn.execute("CREATE TABLE c (id BIGINT, name VARCHAR)")
    conn.execute("INSERT INTO e VALUES (1), (2)")
    conn.execute("INSERT INTO c VALUES (1, 'one')")
    assert conn.execute(f"COPY e TO '{tmp_path}/e.parquet'").rowcount == 2
    assert pq.read_table(tmp_path / "e.parquet").column_names == [
        "_offset",
        "_row_idx",
        "_produced_at",
        "_tenant_id",
        "id",
    ]
    conn.execute(f"COPY c TO '{tmp_path}/c.csv' OPTIONS (format.delimiter ';')")
    assert (tmp_path / "c.csv").read_text() == "id;name\n1;one\n"
    conn.execute(f"COPY (SELECT id FROM subscribe('e', until => 'latest') JOIN c USING (id)) TO '{tmp_path}/j.json'")
    assert (tmp_path / "j.json").read_text() == '{"id":1}\n'
    conn.execute(
        f"COPY (SELECT id, id % 2 AS odd FROM e) TO '{tmp_path}/parts/' STORED AS PARQUET PARTITIONED BY (odd)"
    )
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {"odd=0", "odd=1"}
    conn.execute("CREATE TABLE back (id BIGINT, odd BIGINT)")
    conn.execute(f"COPY back FROM '{tmp_path}/parts'")
    assert rows(conn, "SELECT id, odd FROM back ORDER BY id") == [(1, 1), (2, 0)]


def test_a_copy_to_that_fails_leaves_no_half_file(conn: Connection, tmp_path: Path) -> None:
    conn.execute("CREATE TABLE c (id BIGINT)")
    conn.execute("INSERT INTO c SELECT value FROM generate_series(1, 100000)")
    for ending in ("parquet", "csv", "json"):
        with pytest.raises(Error):
            conn.execute(f"COPY (SELECT 1 / (id - 99999) AS x FROM c) TO '{tmp_path}/half.{ending}'")
        assert list(tmp_path.iterdir()) == []
        conn.execute(f"COPY (SELECT 7 AS x) TO '{tmp_path}/there.{ending}'")
        before = (tmp_path / f"there.{ending}").read_bytes()
        for target in (f"there.{ending}", f"new/ STORED AS {ending}"):
            name, _, stored = target.partition(" ")
            with pytest.raises(Error):
                conn.execute(f"COPY (SELECT 1 / (id - 99999) AS x FROM c) TO '{tmp_path}/{name}' {stored}")
        assert (tmp_path / f"there.{ending}").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [f"there.{ending}"]
        (tmp_path / f"there.{ending}").unlink()
