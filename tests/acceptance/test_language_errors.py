"""Every row of the error table, and what each error carries."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.dbapi import Connection
from jammi_sql.topics import Predicate, TopicDefinition
from tests.targets import another

from .language import background, fails, rows, value, values

STATEMENTS = [
    ("SELEC 1", errors.ProgrammingError, "42601", "SELEC"),
    ("SELECT 1 FROM", errors.ProgrammingError, "42601", None),
    ("SELECT 'open", errors.ProgrammingError, "42601", "'open"),
    ('SELECT "open', errors.ProgrammingError, "42601", '"open'),
    ("SELECT /* open", errors.ProgrammingError, "42601", None),
    ("SELECT (1", errors.ProgrammingError, "42601", None),
    ("SELECT 1)", errors.ProgrammingError, "42601", None),
    ("", errors.ProgrammingError, "42601", None),
    (";", errors.ProgrammingError, "42601", None),
    ("-- nothing", errors.ProgrammingError, "42601", None),
    ("SELECT 1; SELECT 2", errors.ProgrammingError, "42601", "SELECT 2"),
    ("SELECT * FROM nowhere", errors.ProgrammingError, "42P01", "nowhere"),
    ("SELECT a FROM t JOIN nowhere ON true", errors.ProgrammingError, "42P01", "nowhere"),
    ("SELECT * FROM events.nowhere", errors.ProgrammingError, "42P01", "events.nowhere"),
    ("TRUNCATE TOPIC t BEFORE 1) FROM (SELECT 1", errors.ProgrammingError, "42601", ")"),
    ("SET tenant = NULL) FROM (SELECT 1", errors.ProgrammingError, "42601", ")"),
    ("SHOW TOPICS LIKE 't') FROM (SELECT 1", errors.ProgrammingError, "42601", ")"),
    ("SELECT '\0'", errors.NotSupportedError, "0A000", None),
    ("CREATE TOPIC u AS SELECT '\0'", errors.NotSupportedError, "0A000", None),
    ('CREATE TOPIC u ("a\0" INT)', errors.ProgrammingError, "42602", '"a'),
    ('CREATE TOPIC "u\0" (a INT)', errors.ProgrammingError, "42602", None),
    ("SHOW nothing", errors.ProgrammingError, "42704", None),
    ("SELECT *", errors.ProgrammingError, "42601", None),
    ("SELECT * FROM events.s", errors.ProgrammingError, "42P01", "events.s"),
    ("INSERT INTO t VALUES (1), (2, 'x')", errors.ProgrammingError, "42601", None),
    ("INSERT INTO t SELECT * FROM t", errors.ProgrammingError, "42601", None),
    ("PREPARE q AS SELECT a FROM subscribe('t', until => 'latest')", errors.NotSupportedError, "0A000", "subscribe"),
    (
        "CREATE VIEW w AS SELECT a FROM subscribe('t', until => 'latest')",
        errors.NotSupportedError,
        "0A000",
        "subscribe",
    ),
    ("SELECT nothing FROM t", errors.ProgrammingError, "42703", "nothing"),
    ("SELECT a FROM t WHERE x.nothing = 1", errors.ProgrammingError, "42703", "x.nothing"),
    ("SELECT a FROM subscribe('t', until => 'latest') WHERE nothing = 1", errors.ProgrammingError, "42703", "nothing"),
    ("SELECT no_such_function(a) FROM t", errors.ProgrammingError, "42883", "no_such_function"),
    ("SELECT * FROM no_such_function(1)", errors.ProgrammingError, "42883", "no_such_function"),
    ("SELECT abs('x', 1, 2)", errors.ProgrammingError, "42883", None),
    ("CREATE TOPIC t (a INT NOT NULL, b VARCHAR)", errors.ProgrammingError, "42P07", "t (a"),
    ("CREATE TOPIC t (a VARCHAR)", errors.SchemaConflict, "42804", "t (a"),
    ("CREATE VIEW v AS SELECT 1", errors.ProgrammingError, "42P07", None),
    ("DELETE FROM t", errors.ProgrammingError, "42809", "t"),
    ("CREATE TOPIC u (_a INT)", errors.ProgrammingError, "42939", "_a"),
    ("INSERT INTO t VALUES (NULL, 'x')", errors.IntegrityError, "23502", None),
    ("COMMIT", errors.ProgrammingError, "25P01", None),
    ("SELECT CAST('x' AS INT)", errors.DataError, "22P02", None),
    ("SELECT CAST(v AS INT) FROM (VALUES ('1'), ('x')) AS s(v)", errors.DataError, "22P02", None),
    ("SELECT CAST(300 AS TINYINT)", errors.DataError, "22003", None),
    ("SELECT 1 / 0", errors.DataError, "22012", None),
    ("SELECT 1 / (a - 1) FROM t", errors.DataError, "22012", None),
    ("SELECT DATE 'yesterday'", errors.DataError, "22P02", None),
    ("SELECT count(*) FROM subscribe('t')", errors.NotSupportedError, "0A000", "subscribe"),
    ("SELECT * FROM subscribe('t', from => 'nowhen')", errors.ProgrammingError, "22023", "'nowhen'"),
    ("SELECT a, count(*) FROM t", errors.ProgrammingError, "42803", None),
    ("SELECT t.a FROM t AS x", errors.ProgrammingError, "42703", "t.a"),
    ("SELECT a FROM t AS x, t AS y", errors.ProgrammingError, "42702", "a"),
]


@pytest.mark.parametrize(("statement", "cls", "sqlstate", "near"), STATEMENTS, ids=[case[0] for case in STATEMENTS])
def test_a_statement_fails_with_its_class_state_place_and_hint(
    conn: Connection, statement: str, cls: type[errors.Error], sqlstate: str, near: str | None
) -> None:
    conn.execute("CREATE TOPIC t (a INT NOT NULL, b VARCHAR)")
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    conn.execute("CREATE VIEW v AS SELECT 1 AS one")
    with pytest.raises(cls) as raised:
        conn.execute(statement).fetchall()
    error = raised.value
    # sharper states than the table's own are not promised: 42000 is the class without one
    assert error.sqlstate == sqlstate or (sqlstate in ("42803", "42702") and error.sqlstate == "42000"), error
    assert error.hint, error
    assert "DataFusion error" not in str(error)
    if near is not None:
        assert error.position is not None
        assert statement[error.position :].startswith(near), statement[error.position :]
    assert values(conn, "SELECT a FROM t") == [1]


def test_the_place_of_an_error_is_in_the_users_text(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    statement = "/* žluťoučký 🐎 */\nSELECT ?, a\n  FROM subscribe('t', from => ?, until => 'latest') AS s\n WHERE s.nothing = ?"
    with fails("42703", at=statement.index("s.nothing")):
        conn.execute(statement, [1, 0, 2])
    statement = "SELECT :one, :two\nFROM nowhere"
    with fails("42P01", at=statement.index("nowhere")):
        conn.execute(statement, {"one": 1, "two": 2})
    statement = "INSERT INTO t\nSELECT ?, no_such_function(?)"
    with fails("42883", at=statement.index("no_such_function")):
        conn.execute(statement, [1, 2])
    script = "CREATE TOPIC u (a INT);\nSELECT nothing FROM u;"
    with fails("42703", at=script.index("nothing")):
        conn.cursor().executescript(script)


@pytest.mark.in_process("uses the engine's Python interface")
def test_a_batch_that_does_not_fit_says_which_column_and_how(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT NOT NULL, b VARCHAR)")
    definition = conn.engine.topic_repo.lookup_by_name("t", None)
    assert definition is not None
    publish = conn.engine.publisher.publish_scoped
    for columns, said in (
        ({"a": pa.array([1], pa.int64()), "b": ["x"]}, ["a", "int64", "int32"]),
        ({"a": pa.array([1], pa.int32())}, ["b"]),
        ({"a": pa.array([1], pa.int32()), "b": ["x"], "c": [1]}, ["c"]),
    ):
        with fails("42804", errors.BatchSchemaMismatch) as raised:
            publish(definition, None, pa.record_batch(columns))
        assert all(word in str(raised.value) for word in said), raised.value
    with fails("23502", errors.IntegrityError):
        publish(definition, None, pa.record_batch({"a": pa.array([None], pa.int32()), "b": ["x"]}))
    publish(definition, None, pa.record_batch({"b": ["x"], "a": pa.array([1], pa.int32())}))
    with pytest.raises(errors.Error) as empty:
        publish(definition, None, pa.record_batch({"a": pa.array([], pa.int32()), "b": pa.array([], pa.string())}))
    assert empty.value.hint
    assert value(conn, "SELECT count(*) FROM t") == 1


def test_predicates_fail_as_the_table_says(conn: Connection) -> None:
    schema = pa.schema([pa.field("a", pa.int32())])
    with fails("42601", errors.PredicateParse):
        Predicate.from_sql(schema, "a >")
    with fails("0A000", errors.PredicateUnsupported):
        Predicate.from_sql(schema, "a > (SELECT 1)")
    with fails("0A000", errors.PredicateUnsupported):
        Predicate.from_sql(schema, "sum(a) > 1")


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    with jammi_sql.connect(tmp_path / "store", lock_timeout=0.2) as one:
        one.execute("CREATE TOPIC t (a INT)")
        one.execute("BEGIN")
        one.execute("INSERT INTO t VALUES (1)")
        with jammi_sql.connect(tmp_path / "store", lock_timeout=0.2) as two:
            assert value(two, "SELECT count(*) FROM t") == 0  # readers wait for nobody
            with fails("55P03", errors.OperationalError):
                two.execute("INSERT INTO t VALUES (2)")
            one.execute("COMMIT")
            two.execute("INSERT INTO t VALUES (2)")
            assert values(two, "SELECT a FROM t ORDER BY _offset") == [1, 2]


def test_a_broker_that_fails_never_fails_a_publish() -> None:
    broker = InMemoryBroker()
    with jammi_sql.connect(broker=broker) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        live = conn.execute("SELECT a FROM subscribe('t')")
        broker.trigger_failure_for_next_publish("the wire is cut")
        assert conn.execute("INSERT INTO t VALUES (1)").rowcount == 1
        conn.execute("INSERT INTO t VALUES (2)")
        assert live.fetchone() == (1,)
        assert live.fetchone() == (2,)
        live.close()
    with fails("08006", errors.OperationalError, hint=False):
        raise errors.DriverError("as its class says")


def test_a_closed_connection_and_cursor_say_so(conn: Connection) -> None:
    cursor = conn.execute("SELECT 1")
    cursor.close()
    with pytest.raises(conn.InterfaceError):
        cursor.fetchone()
    other = another(conn)
    other.close()
    with pytest.raises(conn.InterfaceError):
        other.execute("SELECT 1")


def test_a_read_only_store_refuses_writes(tmp_path: Path) -> None:
    with jammi_sql.connect(tmp_path / "store") as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.execute("INSERT INTO t VALUES (1)")
    with jammi_sql.connect(tmp_path / "store", read_only=True) as conn:
        assert values(conn, "SELECT a FROM t") == [1]
        for statement in (
            "INSERT INTO t VALUES (2)",
            "CREATE TOPIC u (a INT)",
            "DROP TOPIC t",
            "TRUNCATE TOPIC t BEFORE 1",
        ):
            with fails("25006", errors.OperationalError):
                conn.execute(statement)
        assert values(conn, "SELECT a FROM t") == [1]


# --- cancelling ---

LONG = "SELECT sum(value % 7) FROM range(1000000000000)"


def cancelled_by_timer(conn: Connection, statement: str, fetch: str = "fetchall") -> None:
    cursor = conn.cursor()
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.05):  # the first may come before the statement begins
            cursor.adbc_cancel()

    with background(cancel):
        try:
            with fails("57014", errors.OperationalError, hint=False):
                cursor.execute(statement)
                getattr(cursor, fetch)()
        finally:
            over.set()


@pytest.mark.parametrize(
    "statement",
    [
        LONG,
        "INSERT INTO t SELECT value FROM range(1000000000000)",
        "SELECT a FROM subscribe('t', until => 99)",
        "SELECT sum(a) FROM subscribe('t', until => 99)",
        "SELECT a FROM subscribe('t', until => now() + INTERVAL '1 hour')",
        "SELECT a FROM subscribe('t') LIMIT 1",
        "SELECT a FROM subscribe('t', idle_timeout => INTERVAL '1 hour')",
        f"CREATE TOPIC u AS {LONG}",
        f"CREATE TEMP TABLE u AS {LONG}",
        f"EXPLAIN ANALYZE {LONG}",
        "SELECT t.a FROM t JOIN subscribe('t', until => 99) AS s ON t.a = s.a",
    ],
)
def test_a_statement_is_cancelled_from_another_thread_and_the_session_goes_on(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("INSERT INTO t VALUES (1)")
    cancelled_by_timer(conn, statement)
    assert rows(conn, "SELECT a FROM t") == [(1,)]
    assert values(conn, "SELECT name FROM jammi.system.topics") == ["t"]
    assert values(conn, "INSERT INTO t VALUES (2) RETURNING _offset") == [1]


def test_a_wait_for_a_live_batch_is_cancelled(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    cancelled_by_timer(conn, "SELECT a FROM subscribe('t')", "fetchone")


def test_a_cancelled_statement_in_a_transaction_undoes_only_itself(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    cancelled_by_timer(conn, "INSERT INTO t SELECT value FROM range(1000000000000)")
    conn.execute("COMMIT")
    assert values(conn, "SELECT a FROM t") == [1]


@pytest.mark.parametrize(
    "statement",
    [
        LONG,
        "INSERT INTO t SELECT value FROM range(1000000000000)",
        "SELECT a FROM subscribe('t', until => 99)",
        "SELECT sum(a) FROM subscribe('t', until => 99)",
        "SELECT a FROM subscribe('t') LIMIT 1",
    ],
)
def test_statement_timeout_ends_what_takes_too_long(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("SET jammi.statement_timeout = '100ms'")
    with fails("57014", errors.OperationalError):
        conn.execute(statement).fetchall()
    conn.execute("RESET jammi.statement_timeout")
    assert rows(conn, "SELECT a FROM t") == []


def test_statement_timeout_ends_a_live_wait(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("SET jammi.statement_timeout = '100ms'")
    with fails("57014", errors.OperationalError):
        conn.execute("SELECT a FROM subscribe('t')").fetchone()


@pytest.mark.in_process("uses the engine's Python interface")
def test_the_definition_of_a_topic_that_was_dropped_is_not_registered(conn: Connection) -> None:
    definition = TopicDefinition("t", pa.schema([pa.field("a", pa.int32())]))
    with fails("42P01", errors.TopicNotFound):
        conn.engine.publisher.publish_scoped(definition, None, pa.record_batch({"a": pa.array([1], pa.int32())}))


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_a_cancel_that_comes_while_a_statement_is_planned_is_not_lost(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    session = another(conn)
    try:
        running = session._port.running  # the only way to be exactly there
        watch = running.watch

        def cancelled_first(source: object, **limits: object) -> object:
            session.adbc_cancel()
            return watch(source, **limits)

        running.watch = cancelled_first
        with fails("57014", errors.OperationalError, hint=False):
            session.execute("SELECT a FROM subscribe('t')").fetchone()
    finally:
        session.close()
