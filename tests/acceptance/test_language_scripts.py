"""Comments, semicolons and scripts."""

from __future__ import annotations

import pytest

from jammi_sql.dbapi import Connection

from .language import fails, unbounded, value, values


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1;",
        "SELECT 1 ; ; ;",
        ";; SELECT 1",
        "-- first\nSELECT 1 -- last",
        "/* a /* nested */ comment; */ SELECT 1",
        "SELECT /* ; */ 1 /* ; */",
        "SELECT 1;-- done",
        "\n\t SELECT\r\n1\n",
        "SELECT/**/1",
        "select 1",
    ],
)
def test_comments_and_semicolons_around_one_statement(conn: Connection, statement: str) -> None:
    assert value(conn, statement) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "/* new */ CREATE /* a */ TOPIC -- it\n t ( /* x */ a /* y */ INT /* z */ ) ;",
        "create topic t(a int)",
        "CREATE\nTOPIC\nt\n(\na\nINT\n)\n;\n",
        "CREATE TOPIC T (A INT);;",
    ],
)
def test_comments_may_stand_inside_the_dialects_statements(conn: Connection, statement: str) -> None:
    conn.execute(statement)
    conn.execute("INSERT /* ? */ INTO -- :x\n t VALUES /* $1 */ (1) ;")
    assert values(conn, "SELECT a FROM t") == [1]


def test_two_statements_in_one_execute_run_neither(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    with fails("42601", at=27):
        conn.execute("INSERT INTO t VALUES (1);  INSERT INTO t VALUES (2)")
    assert values(conn, "SELECT a FROM t") == []


def test_a_script_runs_its_statements_in_order(conn: Connection) -> None:
    cursor = conn.cursor()
    cursor.executescript(
        """
        -- a topic; with a comment
        CREATE TOPIC t (a VARCHAR);
        INSERT INTO t VALUES ('one; two'), ('it''s'), ($$three; four$$);
        SELECT * FROM t;  /* rows are dropped; */
        BEGIN; INSERT INTO t VALUES ('x'); ROLLBACK;
        CREATE TEMP TABLE k AS SELECT count(*) AS n FROM t;
        """
    )
    assert values(conn, "SELECT n FROM k") == [3]
    assert values(conn, "SELECT a FROM t ORDER BY _row_idx") == ["one; two", "it's", "three; four"]
    cursor.executescript("")
    cursor.executescript(" ; -- nothing\n;")


def test_a_script_stops_at_the_first_error(conn: Connection) -> None:
    script = (
        "CREATE TOPIC t (a INT); INSERT INTO t VALUES (1); INSERT INTO nowhere VALUES (1); INSERT INTO t VALUES (2);"
    )
    with fails("42P01", at=script.index("nowhere")):
        conn.cursor().executescript(script)
    assert values(conn, "SELECT a FROM t") == [1]


def test_a_script_that_is_no_sql_runs_nothing(conn: Connection) -> None:
    with fails("42601"):
        conn.cursor().executescript("CREATE TOPIC t (a INT); CREATE TOPIC u (a INT; INSERT INTO t VALUES ('open")
    assert values(conn, "SELECT name FROM jammi.system.topics") == []


def test_a_script_with_a_live_subscription_does_not_hang(conn: Connection) -> None:
    script = "CREATE TOPIC t (a INT); SELECT a FROM subscribe('t'); INSERT INTO t VALUES (1)"
    with unbounded():
        conn.cursor().executescript(script)
    assert values(conn, "SELECT a FROM t") == []


def test_a_script_with_a_parameter_is_refused(conn: Connection) -> None:
    with pytest.raises(conn.ProgrammingError):
        conn.cursor().executescript("CREATE TOPIC t (a INT); INSERT INTO t VALUES (?)")
