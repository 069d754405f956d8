"""COPY ... FROM, CREATE CACHED TABLE and REFRESH TABLE, as statements."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import CopyFrom, CreateCachedTable, Name, RefreshTable
from jammi_sql.errors import Error, FeatureNotSupported, StatementSyntaxError

from .pairs import one, only, plain, query


def test_copy_from_a_file() -> None:
    text = "COPY s.t (b, \"A\") FROM 'x.csv' (FORMAT csv, header, delimiter ';', null 'N/A', schema_infer_rows 5)"
    assert one(text) == CopyFrom(
        Name(("s", "t"), 5), ("b", "A"), (10, 13), plain("'x.csv'", 23), 23,
        {"format": "csv", "header": "true", "delimiter": ";", "null": "N/A", "schema_infer_rows": "5"},
    )  # fmt: skip
    assert one("copy t from 'x.csv'") == CopyFrom(Name(("t",), 5), None, (), plain("'x.csv'", 12), 12, {})


def test_copy_from_stdin_and_from_a_parameter() -> None:
    stdin = one("COPY t FROM STDIN WITH (FORMAT json)")
    assert isinstance(stdin, CopyFrom) and stdin.source is None and stdin.options == {"format": "json"}
    parsed = only("COPY t FROM ?")
    assert isinstance(parsed.statement, CopyFrom) and parsed.statement.source is not None
    assert (parsed.statement.source.text.strip(), parsed.parameters) == ("$1", ("1",))


@pytest.mark.parametrize("text", ["COPY t TO 'x.parquet'", "COPY (SELECT * FROM t) TO 'x' STORED AS CSV", "COPY t"])
def test_copy_to_stays_as_it_is(text: str) -> None:
    assert query(text).body.text == text


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("COPY t FROM x.csv", 12, "a file as"), ("COPY t FROM 'x' FORMAT csv", 16, "FORMAT"), ("COPY t FROM", 11, "a file as"),
        ("COPY t FROM 'x' (header, header)", 25, "twice"), ("COPY t FROM 'x' ()", 17, "option"), ("COPY t () FROM 'x'", 8, "column"),
    ],
)  # fmt: skip
def test_a_copy_that_is_none_says_where(text: str, position: int, message: str) -> None:
    with pytest.raises(StatementSyntaxError, match=message) as caught:
        one(text)
    assert caught.value.position == position and caught.value.hint


def test_a_cached_table_keeps_the_text_of_its_query() -> None:
    text = "CREATE CACHED TABLE IF NOT EXISTS s.c AS WITH q AS (SELECT 1 /* x */ AS a) SELECT * FROM q WITH (refresh = INTERVAL '1' HOUR, on_change = 'e')"
    statement = one(text)
    assert isinstance(statement, CreateCachedTable)
    assert (statement.name, statement.if_not_exists) == (Name(("s", "c"), 34), True)
    assert statement.query == "WITH q AS (SELECT 1 /* x */ AS a) SELECT * FROM q"
    assert text[statement.query_position :].startswith(statement.query) and {"q", "a"} <= statement.words
    assert statement.options == {"refresh": "1 hour", "on_change": "e"}


@pytest.mark.parametrize(
    ("text", "kept", "options"),
    [
        ("CREATE CACHED TABLE c AS SELECT 1", "SELECT 1", {}),
        ("CREATE CACHED TABLE c AS (SELECT 1)", "(SELECT 1)", {}),
        ("CREATE CACHED TABLE c AS SELECT count(*)", "SELECT count(*)", {}),
        ("CREATE CACHED TABLE c WITH (refresh = 'manual') AS SELECT f(1)", "SELECT f(1)", {"refresh": "manual"}),
        ("CREATE CACHED TABLE c AS VALUES (1) WITH (refresh = '1s');", "VALUES (1)", {"refresh": "1s"}),
        ("CREATE CACHED TABLE c AS SELECT * FROM subscribe('t', until => 1)", "SELECT * FROM subscribe('t', until => 1)", {}),
    ],
)  # fmt: skip
def test_where_the_query_ends(text: str, kept: str, options: dict[str, str]) -> None:
    statement = one(text)
    assert isinstance(statement, CreateCachedTable)
    assert (statement.query, statement.options) == (kept, options)


@pytest.mark.parametrize(
    ("text", "error", "position"),
    [
        ("CREATE CACHED TABLE c AS SELECT ?", FeatureNotSupported, 32), ("CREATE CACHED TABLE c (a INT)", StatementSyntaxError, 22),
        ("CREATE CACHED TABLE c AS", StatementSyntaxError, 24), ("CREATE CACHED TABLE c AS SELECT 1 WITH ()", StatementSyntaxError, 40),
        ("REFRESH TABLE", StatementSyntaxError, 13), ("REFRESH TABLE t u", StatementSyntaxError, 16),
    ],
)  # fmt: skip
def test_what_is_no_cached_table_says_where(text: str, error: type[Error], position: int) -> None:
    with pytest.raises(error) as caught:
        one(text)
    assert caught.value.position == position and caught.value.hint


def test_refresh_table() -> None:
    assert one("REFRESH TABLE s.c") == RefreshTable(Name(("s", "c"), 14))
