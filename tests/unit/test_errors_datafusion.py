"""What DataFusion says, as classes and SQLSTATEs; through a real engine, since its wording is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.errors_datafusion import translate


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with jammi_sql.connect() as connection:
        connection.execute("CREATE TOPIC t (k bigint, s varchar)")
        connection.execute("CREATE TOPIC u (k bigint)")
        connection.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        connection.execute("INSERT INTO u VALUES (1)")
        yield connection


@pytest.mark.parametrize(
    ("text", "kind", "sqlstate"),
    [
        ("SELECT k FROM t, u", errors.ProgrammingError, "42702"),
        ("SELECT 1, 1", errors.ProgrammingError, "42701"),
        ("SELECT * FROM (SELECT 1 AS a, 2 AS a) x", errors.ProgrammingError, "42701"),
        ("SELECT * FROM t x, t x", errors.ProgrammingError, "42701"),
        ("CREATE TEMP TABLE z (a int, a int)", errors.ProgrammingError, "42701"),
        ("WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a", errors.ProgrammingError, "42712"),
        ("SELECT k, count(*) FROM t GROUP BY s", errors.ProgrammingError, "42803"),
        ("SELECT k FROM t WHERE count(*) > 1", errors.ProgrammingError, "42803"),
        ("SELECT sum(sum(k)) FROM t", errors.ProgrammingError, "42803"),
        ("SELECT k + s FROM t", errors.ProgrammingError, "42804"),
        ("SELECT k AND true FROM t", errors.ProgrammingError, "42804"),
        ("SELECT * FROM t WHERE k", errors.ProgrammingError, "42804"),
        ("SELECT NOT k FROM t", errors.ProgrammingError, "42804"),
        ("SELECT * FROM t WHERE k LIKE 'a'", errors.ProgrammingError, "42804"),
        ("SELECT sum(s) FROM t", errors.UndefinedFunction, "42883"),
        ("SELECT upper(1, 2)", errors.UndefinedFunction, "42883"),
        ("SELECT upper()", errors.UndefinedFunction, "42883"),
        ("SELECT nosuch(1)", errors.UndefinedFunction, "42883"),
        ("SELECT 1 / 0", errors.DataError, "22012"),
        ("SELECT k % 0 FROM t", errors.DataError, "22012"),
        ("SELECT cast(300 AS tinyint)", errors.DataError, "22003"),
        ("SELECT cast(1e30 AS bigint)", errors.DataError, "22003"),
        ("SELECT cast('a' AS int)", errors.DataError, "22P02"),
        ("SELECT date '2024-99-99'", errors.DataError, "22P02"),
        ("SELECT regexp_replace('a', '(', 'b')", errors.DataError, "2201B"),
        ("SELECT * FROM t WHERE s ~ '('", errors.DataError, "2201B"),
        ("SELECT (SELECT k FROM t)", errors.ProgrammingError, "21000"),
        ("SELECT * FROM u WHERE k = (SELECT k FROM t)", errors.ProgrammingError, "21000"),
        ("SELECT (SELECT k, s FROM t)", errors.ProgrammingError, "42601"),
        ("SELECT 1 UNION SELECT 1, 2", errors.ProgrammingError, "42601"),
        ("SET datafusion.nosuch = 1", errors.UndefinedObject, "42704"),
        ("SET nosuch = 1", errors.UndefinedObject, "42704"),
        ("SHOW nosuch", errors.UndefinedObject, "42704"),
        ("SET jammi.nosuch = 1", errors.UndefinedObject, "42704"),
        ("SET datafusion.execution.batch_size = 'x'", errors.InvalidParameter, "22023"),
        ("SELECT cast(1 AS nosuch)", errors.UndefinedObject, "42704"),
        ("SELECT arrow_cast(1, 'Nosuch')", errors.UndefinedObject, "42704"),
        ("EXECUTE nosuch(1)", errors.UndefinedObject, "26000"),
        ("SELECT * FROM '/nowhere/x.parquet'", errors.OperationalError, "58P01"),
        ("CREATE EXTERNAL TABLE e STORED AS csv LOCATION '/nowhere/x.csv'", errors.OperationalError, "58P01"),
        ("SELECT " + "(" * 60 + "1" + ")" * 60, errors.StatementTooComplex, "54001"),
    ],
)
def test_what_datafusion_refuses_has_the_class_and_sqlstate_that_say_why(
    connection: Connection, text: str, kind: type[errors.Error], sqlstate: str
) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(text).fetchall()
    assert (caught.value.sqlstate, bool(caught.value.hint)) == (sqlstate, True)


def test_a_file_that_may_not_be_read_is_an_operational_error() -> None:
    # By its text: whoever runs the tests as root may read everything.
    raised = translate(Exception("IO error: Generic LocalFileSystem error: Permission denied (os error 13)"), "")
    assert isinstance(raised, errors.OperationalError)
    assert raised.sqlstate == "42501"


def test_two_columns_of_one_name_are_named(connection: Connection) -> None:
    with pytest.raises(errors.ProgrammingError, match="two columns are named a"):
        connection.execute("SELECT k AS a, s AS a FROM t").fetchall()


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        (
            "PyErr { type: <class 'RuntimeError'>, value: RuntimeError('it\\'s gone'), "
            'traceback: Some("Traceback (most recent call last):\\n  File \\"/srv/x.py\\", line 1\\n") }',
            "it's gone",
        ),
        ("PyErr { type: <class 'KeyError'>, value: KeyError('k'), traceback: None }", "k"),
        ("PyErr { type: <class 'OSError'>, value: OSError(), traceback: None }", "OSError()"),
    ],
)
def test_what_python_raised_inside_datafusion_shows_its_text_and_no_traceback(dump: str, said: str) -> None:
    raised = translate(Exception(f"DataFusion error: Execution error: Python error: {dump}"), "SELECT 1")
    assert raised.message == said
    assert str(Path("/srv")) not in str(raised)
