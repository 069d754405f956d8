"""The console's formats, and the files that results go to."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql.console.format_names import FORMAT_NAMES
from jammi_sql.console.formats import FORMATS
from tests.acceptance.console.support import Console

VALUES = """
    SELECT 1 AS number, 1.50::DECIMAL(5,2) AS price, 0.5 AS ratio, true AS yes, 'a|b' AS text, X'00ff' AS bytes,
           DATE '2020-01-02' AS day, TIMESTAMP '2020-01-02 03:04:05.5' AS moment, [1, NULL] AS list,
           INTERVAL '1 month 2 days 3.5 seconds' AS span, CAST(NULL AS VARCHAR) AS nothing, '' AS empty
"""


def test_a_table_aligns_numbers_to_the_right_and_shows_null(console: Console) -> None:
    assert console("-c", "SELECT * FROM (VALUES (1, 'a'), (100, NULL)) AS t(number, text) ORDER BY number") == (
        0,
        "number | text\n-------+-----\n     1 | a\n   100 | NULL\n",
        "",
    )


def test_a_table_without_rows_has_its_header(console: Console) -> None:
    assert console("-c", "SELECT 1 AS number WHERE false")[1] == "number\n------\n"


def test_a_table_sends_no_control_characters_to_the_terminal(console: Console) -> None:
    (_, out, _) = console("-c", "SELECT chr(27) || '[2J' || chr(10) || chr(9) AS text")
    assert out.splitlines()[2] == "\\u001b[2J\\n\\t"


def test_a_table_counts_wide_characters(console: Console) -> None:
    (_, out, _) = console("-c", "SELECT '日本' AS a, 1 AS b")
    assert out == "a    | b\n-----+--\n日本 | 1\n"


def test_every_kind_of_value_in_a_table(console: Console) -> None:
    (_, out, _) = console("-c", VALUES)
    assert [part.strip() for part in out.splitlines()[2].replace("a|b", "a/b").split("|")] == [
        "1",
        "1.50",
        "0.5",
        "true",
        "a/b",
        "\\x00ff",
        "2020-01-02",
        "2020-01-02 03:04:05.500000",
        "[1,null]",
        "1 months 2 days 3.5 seconds",
        "NULL",
        "",
    ]


def test_csv_tells_null_from_empty_and_quotes_what_it_must(console: Console) -> None:
    (code, out, _) = console("--format", "csv", "-c", VALUES)
    assert code == 0
    assert out.splitlines()[1] == (
        '1,1.50,0.5,true,a|b,\\x00ff,2020-01-02,2020-01-02 03:04:05.500000,"[1,null]",1 months 2 days 3.5 seconds,,""'
    )


def test_csv_quotes_what_would_be_read_as_something_else_and_nothing_more(console: Console) -> None:
    named = "SELECT 'a' AS \"x,y\", 'say \"hi\"' AS \"q\"\"\", ' b ' AS s UNION ALL SELECT 'c,d', chr(10), NULL"
    (code, out, _) = console("--format", "csv", "-c", f"SELECT * FROM ({named}) ORDER BY 1")
    assert (code, out) == (0, '"x,y","q""",s\na,"say ""hi""", b \n"c,d","\n",\n')


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_keeps_numbers_and_nesting(console: Console, form: str) -> None:
    (code, out, _) = console("--format", form, "-c", VALUES)
    assert code == 0
    assert '"price":1.50' in out
    row = json.loads(out)[0] if form == "json" else json.loads(out)
    assert row == {
        "number": 1,
        "price": 1.5,
        "ratio": 0.5,
        "yes": True,
        "text": "a|b",
        "bytes": "\\x00ff",
        "day": "2020-01-02",
        "moment": "2020-01-02T03:04:05.500000",
        "list": [1, None],
        "span": "1 months 2 days 3.5 seconds",
        "nothing": None,
        "empty": "",
    }


def test_json_of_no_rows_is_an_empty_array_and_jsonl_nothing(console: Console) -> None:
    assert console("--format", "json", "-c", "SELECT 1 AS x WHERE false")[1] == "[]\n"
    assert console("--format", "jsonl", "-c", "SELECT 1 AS x WHERE false")[1] == ""


def test_json_keeps_both_columns_of_one_name(console: Console) -> None:
    (_, out, _) = console(
        "--format", "jsonl", "-c", "SELECT * FROM (SELECT 1 AS a) AS x JOIN (SELECT 2 AS a) AS y ON true"
    )
    assert json.loads(out) == {"a": 1, "a_2": 2}


def test_markdown_escapes_the_bar(console: Console) -> None:
    assert console("--format", "markdown", "-c", "SELECT 1 AS n, 'a|b' AS text")[1] == (
        "| n | text |\n| ---: | --- |\n| 1 | a\\|b |\n"
    )


def test_arrow_and_parquet_hold_the_result_as_it_is(console: Console, tmp_path: Path) -> None:
    query = "SELECT x, arrow_cast(x, 'UInt16') AS y FROM generate_series(1, 20000) AS t(x) ORDER BY x"
    arrow, parquet = str(tmp_path / "x.arrow"), str(tmp_path / "x.parquet")
    assert console("--format", "arrow", "--output", arrow, "-c", query) == (0, "", "")
    assert console("--format", "parquet", "--output", parquet, "-c", query) == (0, "", "")
    with pa.ipc.open_stream(Path(arrow).read_bytes()) as reader:
        table = reader.read_all()
    assert table.schema.types == [pa.int64(), pa.uint16()]
    assert table.num_rows == 20_000
    assert pq.read_table(parquet).equals(table)


def test_parquet_goes_through_a_pipe(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    (out, _) = process("--format", "parquet", "-c", "SELECT 1 AS x").communicate(timeout=60)
    assert pq.read_table(io.BytesIO(out)).to_pydict() == {"x": [1]}


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_file_of_one_result_refuses_a_second(console: Console, tmp_path: Path, form: str) -> None:
    (code, _, err) = console("--format", form, "--output", str(tmp_path / "x"), "-c", "SELECT 1; SELECT 2")
    assert code == 1
    assert "holds one result" in err


def test_output_goes_to_the_file_and_nothing_to_standard_output(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert console("--format", "csv", "--output", str(path), "-c", "SELECT 1 AS a; SELECT 2 AS b") == (0, "", "")
    assert path.read_text() == "a\n1\nb\n2\n"


def test_the_formats_of_the_help_are_those_that_are_there() -> None:
    assert list(FORMAT_NAMES) == list(FORMATS)


def test_a_wrong_statement_leaves_the_output_file_as_it_was(console: Console, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("keep\n")
    assert console("--format", "csv", "--output", str(kept), "-c", "SELEC 1")[0] == 1
    assert kept.read_text() == "keep\n"
    assert console("--format", "csv", "--output", str(kept), "-c", "SELECT 1 AS x")[0] == 0
    assert kept.read_text() == "x\n1\n"


def test_a_parquet_file_has_no_column_twice(console: Console, tmp_path: Path) -> None:
    query = "SELECT x.a, y.a FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS a) AS y"
    (code, _, err) = console("--format", "parquet", "--output", str(tmp_path / "x.parquet"), "-c", query)
    assert code == 1
    assert err.startswith("error 42701: ")
