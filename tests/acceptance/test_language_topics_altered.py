"""Topics that change, and what statements see of them meanwhile: ALTER, TRUNCATE and DROP."""

from __future__ import annotations

import datetime as dt

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import batches, fails, rows, value, values

# --- altering ---


def test_an_added_column_is_null_in_older_batches_everywhere(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("ALTER TOPIC t ADD COLUMN b STRUCT<x INT[]>")
    conn.execute("INSERT INTO t VALUES (2, named_struct('x', [1]))")
    expected = [(1, None), (2, {"x": [1]})]
    assert rows(conn, "SELECT a, b FROM t ORDER BY a") == expected
    assert rows(conn, "SELECT a, b FROM subscribe('t', until => 'latest')") == expected
    assert rows(conn, "SELECT a, b FROM subscribe('t', from => 0) LIMIT 2") == expected
    assert values(conn, "SELECT a FROM t WHERE b IS NULL") == [1]
    assert values(conn, "SELECT a FROM t WHERE b IS NOT NULL") == [2]


def test_filters_on_an_added_column_see_null_in_older_batches(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    conn.execute("INSERT INTO t VALUES (2, 5), (3, NULL)")
    for source in ("t", "subscribe('t', until => 'latest')"):
        assert values(conn, f"SELECT a FROM {source} WHERE b = 5") == [2]
        assert values(conn, f"SELECT a FROM {source} WHERE b IS NULL ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE b IS DISTINCT FROM 5 ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE coalesce(b, 0) = 0 ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE b NOT IN (5)") == []


def test_a_column_is_added_once(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    with pytest.raises(conn.ProgrammingError) as raised:
        conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    assert raised.value.sqlstate in ("42701", "42P07")
    conn.execute("ALTER TOPIC t ADD COLUMN IF NOT EXISTS b INT")
    assert len(rows(conn, "DESCRIBE t")) == 6


def test_a_renamed_topic_keeps_its_rows_and_offsets(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    conn.execute("ALTER TOPIC t RENAME TO u")
    conn.execute("INSERT INTO u VALUES (2)")
    assert rows(conn, "SELECT _offset, a FROM u ORDER BY 1") == [(0, 0), (1, 1), (2, 2)]
    with fails("42P01"):
        conn.execute("SELECT * FROM t")
    conn.execute("CREATE TOPIC t (b VARCHAR)")
    assert rows(conn, "SELECT * FROM t") == []
    with fails("42P07", at=24):
        conn.execute("ALTER TOPIC u RENAME TO t")


def test_a_subscription_lives_on_when_its_topic_is_renamed(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    cursor = conn.execute("SELECT a FROM subscribe('t', from => 'earliest')")
    other.execute("INSERT INTO t VALUES (1)")
    assert cursor.fetchone() == (1,)
    other.execute("ALTER TOPIC t RENAME TO u")
    other.execute("INSERT INTO u VALUES (2)")
    assert cursor.fetchone() == (2,)
    cursor.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TOPIC nowhere ADD COLUMN a INT",
        "ALTER TOPIC nowhere SET (a = 1)",
        "ALTER TOPIC nowhere RESET (a)",
        "ALTER TOPIC nowhere RENAME TO b",
        "TRUNCATE TOPIC nowhere BEFORE 1",
        "DROP TOPIC nowhere",
        "SHOW CREATE TOPIC nowhere",
        "DESCRIBE nowhere",
        "INSERT INTO nowhere VALUES (1)",
        "SELECT * FROM nowhere",
        "SELECT * FROM subscribe('nowhere')",
    ],
)
def test_a_topic_that_is_not_there_is_unknown_in_every_statement(conn: Connection, statement: str) -> None:
    with fails("42P01", says="nowhere") as raised:
        conn.execute(statement)
    position = raised.value.position
    assert position is not None
    assert abs(position - statement.index("nowhere")) <= 1  # inside subscribe it may be the quote


# --- truncating ---


def test_truncate_before_an_offset_forgets_the_older_batches(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 5)
    conn.execute("TRUNCATE TOPIC t BEFORE 2")
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [2, 3, 4]
    assert rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics") == [(2, 5, 3)]
    conn.execute("TRUNCATE TOPIC t BEFORE 1")  # long gone
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [2, 3, 4]
    conn.execute("TRUNCATE TOPIC t BEFORE ?", [3])
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [3, 4]


def test_truncate_past_the_end_empties_and_offsets_are_never_used_again(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 3)
    conn.execute("TRUNCATE TOPIC t BEFORE 1000")
    assert value(conn, "SELECT count(*) FROM t") == 0
    assert rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics") == [(3, 3, 0)]
    assert values(conn, "INSERT INTO t VALUES (1) RETURNING _offset") == [3]


def test_truncate_before_a_time(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 3)
    conn.execute("TRUNCATE TOPIC t BEFORE TIMESTAMP '1999-01-01 00:00:00'")
    assert value(conn, "SELECT count(*) FROM t") == 3
    moment = value(conn, "SELECT _produced_at FROM t WHERE _offset = 2")
    conn.execute("TRUNCATE TOPIC t BEFORE ?", [moment])
    assert 2 in values(conn, "SELECT _offset FROM t")
    conn.execute("TRUNCATE TOPIC t BEFORE TIMESTAMP '2200-01-01 00:00:00'")
    assert value(conn, "SELECT count(*) FROM t") == 0
    assert values(conn, "INSERT INTO t VALUES (1) RETURNING _offset") == [3]


@pytest.mark.parametrize("bound", ["-1", "'x'", "NULL", "1.5", "true"])
def test_truncate_before_something_else_is_refused(conn: Connection, bound: str) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    with fails("22023"):
        conn.execute(f"TRUNCATE TOPIC t BEFORE {bound}")
    assert value(conn, "SELECT count(*) FROM t") == 2


def test_from_an_offset_that_was_truncated_says_the_oldest_and_earliest_never_fails(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 4)
    conn.execute("TRUNCATE TOPIC t BEFORE 2")
    with fails("22023", errors.OffsetEvicted, says="2") as raised:
        conn.execute("SELECT * FROM subscribe('t', from => 1, until => 'latest')")
    assert isinstance(raised.value, conn.OperationalError)
    assert isinstance(raised.value, errors.OffsetEvicted)
    assert raised.value.oldest == 2
    assert values(conn, "SELECT _offset FROM subscribe('t', from => 'earliest', until => 'latest')") == [2, 3]
    assert values(conn, "SELECT _offset FROM subscribe('t', from => 2, until => 'latest')") == [2, 3]
    assert values(
        conn, "SELECT _offset FROM subscribe('t', from => TIMESTAMP '1999-01-01 00:00:00', until => 'latest')"
    ) == [2, 3]


# --- dropping ---


def test_a_dropped_topic_is_gone_and_its_name_is_free(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    conn.execute("DROP TOPIC t")
    with fails("42P01"):
        conn.execute("DROP TOPIC t")
    conn.execute("DROP TOPIC IF EXISTS t")
    conn.execute("CREATE TOPIC t (a VARCHAR)")
    assert rows(other, "SELECT * FROM t") == []
    assert values(other, "INSERT INTO t VALUES ('x') RETURNING _offset") == [0]


def test_a_live_subscription_on_a_dropped_topic_ends_or_says_so(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    cursor = conn.execute("SELECT a FROM subscribe('t', from => 'earliest')")
    assert cursor.fetchone() == (1,)
    other.execute("DROP TOPIC t")
    try:
        assert cursor.fetchone() is None
    except conn.Error as error:
        assert error.sqlstate == "42P01"
    cursor.close()


# --- reading ---


def test_a_statement_sees_the_batches_committed_before_it_began(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("INSERT INTO t SELECT value FROM range(200000)")
    reader = conn.execute("SELECT a FROM t").fetch_record_batch()
    seen = next(reader).num_rows
    other.execute("INSERT INTO t SELECT value FROM range(1000)")
    seen += sum(batch.num_rows for batch in reader)
    assert seen == 200_000
    assert value(conn, "SELECT count(*) FROM t") == 201_000


def test_a_statement_that_was_not_read_yet_sees_the_topic_as_it_was(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    cursor = conn.execute("SELECT a FROM t")
    other.execute("INSERT INTO t VALUES (2)")
    assert cursor.fetchall() == [(1,)]


def test_the_filters_on_the_engines_columns_give_what_they_say(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 6)
    assert values(conn, "SELECT a FROM t WHERE _offset >= 2 AND _offset < 4 ORDER BY a") == [2, 3]
    assert values(conn, "SELECT a FROM t WHERE _offset IN (0, 5, 99) ORDER BY a") == [0, 5]
    assert values(conn, "SELECT a FROM t WHERE _offset NOT IN (0, 1, 2, 3)  ORDER BY a") == [4, 5]
    assert values(conn, "SELECT a FROM t WHERE _offset <> 3 AND a BETWEEN 2 AND 4 ORDER BY a") == [2, 4]
    assert values(conn, "SELECT a FROM t WHERE _row_idx > 0") == []
    assert values(conn, "SELECT a FROM t WHERE _tenant_id IS NOT NULL") == []
    assert value(conn, "SELECT count(*) FROM t WHERE _produced_at <= now()") == 6
    moment = value(conn, "SELECT _produced_at FROM t WHERE _offset = 3")
    assert 3 in values(conn, "SELECT a FROM t WHERE _produced_at >= ?", [moment])
    assert value(conn, "SELECT count(*) FROM t WHERE _produced_at > TIMESTAMP '2200-01-01 00:00:00'") == 0
    assert isinstance(moment, dt.datetime)
    assert moment.tzinfo is not None


def test_produced_at_never_goes_back(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 20)
    times = values(conn, "SELECT _produced_at FROM t ORDER BY _offset")
    assert times == sorted(times)


def test_nan_compares_as_in_datafusion(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (f DOUBLE)")
    literals = "('NaN'::DOUBLE), (1.0), ('inf'::DOUBLE), (NULL), (-0.0)"
    conn.execute(f"INSERT INTO t VALUES {literals}")
    plain = f"(VALUES {literals}) AS v(f)"
    for condition in (
        "f > 2",
        "f = 'NaN'::DOUBLE",
        "f < 2",
        "f <> 1.0",
        "f NOT IN (1.0)",
        "f = 0.0",
        "f BETWEEN 0 AND 'NaN'::DOUBLE",
    ):
        expected = value(conn, f"SELECT count(*) FROM {plain} WHERE {condition}")
        assert value(conn, f"SELECT count(*) FROM t WHERE {condition}") == expected, condition
        assert value(conn, f"SELECT count(*) FROM subscribe('t', until => 'latest') WHERE {condition}") == expected, (
            condition
        )
