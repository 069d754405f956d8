"""All other statements: changes, settings, tenants, transactions, EXPLAIN, and what is left to DataFusion."""

from __future__ import annotations

import pytest

from jammi_sql.dialect import parse
from jammi_sql.dialect.statements import (
    Begin,
    Commit,
    CreateSchema,
    Delete,
    Describe,
    DropSchema,
    DropTable,
    Explain,
    Fragment,
    Insert,
    Kill,
    Merge,
    Name,
    Query,
    Release,
    ResetSetting,
    ResetTenant,
    Rollback,
    RollbackTo,
    Savepoint,
    SetSetting,
    SetTenant,
    ShowSetting,
    ShowTenant,
    Statement,
    TruncateTable,
    Unsupported,
    Update,
)
from jammi_sql.errors import FeatureNotSupported, StatementSyntaxError

from .pairs import one, plain, query


def insert(text: str) -> Insert:
    statement = one(text)
    assert isinstance(statement, Insert)
    return statement


@pytest.mark.parametrize(
    ("text", "target", "body", "returning"),
    [
        ("INSERT INTO t VALUES (1)", ("t",), "VALUES (1)", None),
        ("INSERT INTO s.\"T\" (a, b) SELECT 1, 2", ("s", "T"), "(a, b) SELECT 1, 2", None),
        ("INSERT t VALUES (1)", ("t",), "VALUES (1)", None),
        ("INSERT INTO TABLE t VALUES (1) -- c", ("t",), "VALUES (1) -- c", None),
        ("INSERT INTO t VALUES (1) RETURNING _offset, a", ("t",), "VALUES (1) ", "_offset, a"),
        ("INSERT INTO t VALUES (1), (2) RETURNING *;", ("t",), "VALUES (1), (2) ", "*"),
        ("INSERT INTO t SELECT a FROM b RETURNING a", ("t",), "SELECT a FROM b ", "a"),
        ("INSERT INTO t SELECT returning FROM b", ("t",), "SELECT returning FROM b", None),
        ("INSERT INTO t SELECT a, returning FROM b", ("t",), "SELECT a, returning FROM b", None),
        ("INSERT INTO t SELECT b.returning FROM b", ("t",), "SELECT b.returning FROM b", None),
        ("INSERT INTO t SELECT a returning, b FROM c", ("t",), "SELECT a returning, b FROM c", None),
        ("INSERT INTO t (returning) VALUES (1)", ("t",), "(returning) VALUES (1)", None),
        ("INSERT INTO returning VALUES (1)", ("returning",), "VALUES (1)", None),
        ("INSERT INTO t SELECT * FROM (SELECT 1) x RETURNING (a)", ("t",), "SELECT * FROM (SELECT 1) x ", "(a)"),
        ("-- c\nINSERT INTO t VALUES (1)", ("t",), "VALUES (1)", None),
    ],
)  # fmt: skip
def test_insert_has_target_source_and_returning(
    text: str, target: tuple[str, ...], body: str, returning: str | None
) -> None:
    statement = insert(text)
    assert statement.target.parts == target
    assert statement.body.body.text == body
    assert statement.body.body.origin(0) == text.index(body)
    assert (statement.returning.text if statement.returning else None) == returning


def test_the_places_of_an_inserts_parameters_are_those_in_its_source() -> None:
    statement = insert("INSERT INTO t VALUES (?,?), ($$?$$, LIMIT?) RETURNING a + ?")
    body = statement.body.body.text
    assert [(body[start:end], key) for start, end, key in statement.parameters] == [
        ("$1", "1"),
        ("$2", "2"),
        ("$3", "3"),
    ]
    assert statement.returning is not None
    assert statement.returning.text == "a + $4"
    named = insert("INSERT INTO t VALUES (:a, $b, :a)")
    body = named.body.body.text
    assert [(body[start:end], key) for start, end, key in named.parameters] == [("$a", "a"), ("$b", "b"), ("$a", "a")]


@pytest.mark.parametrize(
    ("text", "head", "values"),
    [
        (
            "INSERT INTO t VALUES (?, f(?, [2, 3]), 3)",
            "",
            [("$1", ((0, 2, "1"),)), (" f($2, [2, 3])", ((3, 5, "2"),)), (" 3", ())],
        ),
        ("INSERT INTO t (a, b) VALUES (:x, '),') RETURNING a", "(a, b) ", [("$x", ((0, 2, "x"),)), (" '),'", ())]),
    ],
)
def test_the_only_row_of_an_insert_is_at_hand(
    text: str, head: str, values: list[tuple[str, tuple[tuple[int, int, str], ...]]]
) -> None:
    row = insert(text).row
    assert row is not None
    assert (row.head.text, [(value.text, places) for value, places in row.values]) == (head, values)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO t VALUES (?), (?)",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t VALUES (?, (1), (2))",  # its commas are within one token
        "INSERT INTO t VALUES (1",
        "INSERT INTO t (VALUES (1))",
    ],
)
def test_any_other_source_has_no_single_row(text: str) -> None:
    assert insert(text).row is None


def test_an_insert_that_overwrites_is_left_to_datafusion() -> None:
    text = "INSERT OVERWRITE t SELECT 1"
    assert query(text).body == plain(text, 0)


@pytest.mark.parametrize(
    "text", ["REPLACE INTO t VALUES (1)", "INSERT OR IGNORE INTO t VALUES (1)", "INSERT IGNORE INTO t VALUES (1)"]
)
def test_what_others_write_for_on_conflict_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FeatureNotSupported) as raised:
        parse(text)
    assert raised.value.position == 0
    assert raised.value.hint is not None and "ON CONFLICT" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "kind", "keyword", "name"),
    [
        ("UPDATE s.t SET a = 1", Update, "UPDATE", Name(("s", "t"), 7)),
        ("DELETE FROM t WHERE a", Delete, "DELETE", Name(("t",), 12)),
        ("DELETE t", Delete, "DELETE", Name(("t",), 7)),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE", Merge, "MERGE", Name(("t",), 11)),
        ("TRUNCATE TABLE t", TruncateTable, "TRUNCATE", Name(("t",), 15)),
        ("TRUNCATE t", TruncateTable, "TRUNCATE", Name(("t",), 9)),
        ("TRUNCATE topic", TruncateTable, "TRUNCATE", Name(("topic",), 9)),
        ("DROP TABLE t", DropTable, "DROP", Name(("t",), 11)),
        ("DROP TABLE IF EXISTS t CASCADE", DropTable, "DROP", Name(("t",), 21)),
    ],
)
def test_changes_name_their_target_and_keep_their_text(text: str, kind: type, keyword: str, name: Name) -> None:
    statement = one(text)
    assert isinstance(statement, kind)
    assert isinstance(statement, Update | Delete | Merge | TruncateTable | DropTable)
    assert (statement.name if isinstance(statement, TruncateTable | DropTable) else statement.target) == name
    assert statement.body.body == plain(text, 0)
    assert statement.body.keyword == keyword


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE SCHEMA s", CreateSchema(Name(("s",), 14), False)),
        ("CREATE SCHEMA IF NOT EXISTS a.b", CreateSchema(Name(("a", "b"), 28), True)),
        ("DROP SCHEMA s", DropSchema(Name(("s",), 12), False, False)),
        ("DROP SCHEMA IF EXISTS s CASCADE", DropSchema(Name(("s",), 22), True, True)),
        ("DROP SCHEMA s RESTRICT", DropSchema(Name(("s",), 12), False, False)),
        ("SET tenant = 'x'", SetTenant(plain("'x'", 13))),
        ("SET TENANT TO 'x'", SetTenant(plain("'x'", 14))),
        ("RESET tenant", ResetTenant()),
        ("SHOW tenant", ShowTenant()),
        ("SET jammi.statement_timeout = 5", SetSetting("statement_timeout", plain("5", 30), 4)),
        ("SET Jammi.a.B TO off", SetSetting("a.b", plain("off", 17), 4)),
        ("SHOW jammi.pushdown", ShowSetting("pushdown", 5)),
        ("RESET jammi.pushdown;", ResetSetting("pushdown", 6)),
        ("BEGIN", Begin()),
        ("begin transaction", Begin()),
        ("BEGIN WORK", Begin()),
        ("START TRANSACTION", Begin()),
        ("COMMIT", Commit()),
        ("COMMIT TRANSACTION", Commit()),
        ("END", Commit()),
        ("ROLLBACK", Rollback()),
        ("ROLLBACK WORK", Rollback()),
        ("ABORT", Rollback()),
        ("SAVEPOINT S", Savepoint("s")),
        ('SAVEPOINT "S"', Savepoint("S")),
        ("ROLLBACK TO s", RollbackTo("s", 12)),
        ("ROLLBACK TO SAVEPOINT s", RollbackTo("s", 22)),
        ("ROLLBACK TRANSACTION TO s", RollbackTo("s", 24)),
        ("ROLLBACK TO savepoint", RollbackTo("savepoint", 12)),
        ("RELEASE s", Release("s", 8)),
        ("RELEASE SAVEPOINT s", Release("s", 18)),
    ],
)
def test_schemas_settings_tenants_and_transactions(text: str, expected: Statement) -> None:
    assert one(text) == expected


def test_parameters_may_stand_where_a_value_may() -> None:
    assert one("SET tenant = ?") == SetTenant(one_fragment("$1", 13, 14))
    assert one("SET jammi.x = :v") == SetSetting("x", one_fragment("$v", 14, 16), 4)


def one_fragment(text: str, start: int, end: int) -> Fragment:
    return Fragment(text, ((0, start), (0, start), (len(text), end)))


@pytest.mark.parametrize(
    ("text", "parts", "body"),
    [
        ("DESCRIBE t", ("t",), "DESCRIBE t"),
        ("desc s.\"T\"", ("s", "T"), 'desc s."T"'),
        ("DESCRIBE TABLE t", ("t",), "DESCRIBE t"),
        ("DESCRIBE EXTENDED t", ("t",), "DESCRIBE EXTENDED t"),
        ("DESCRIBE table", ("table",), "DESCRIBE table"),
        ("DESCRIBE select", ("select",), "DESCRIBE select"),
    ],
)  # fmt: skip
def test_describe_names_a_relation_and_keeps_a_text_for_datafusion(
    text: str, parts: tuple[str, ...], body: str
) -> None:
    statement = one(text)
    assert isinstance(statement, Describe)
    assert statement.name.parts == parts
    assert statement.body.body.text == body


@pytest.mark.parametrize(
    ("text", "prefix", "analyze", "inner"),
    [
        ("EXPLAIN INSERT INTO t VALUES (1)", "EXPLAIN ", False, "VALUES (1)"),
        ("explain analyze INSERT INTO t VALUES (1)", "explain analyze ", True, "VALUES (1)"),
        ("EXPLAIN ANALYZE VERBOSE DELETE FROM t", "EXPLAIN ANALYZE VERBOSE ", True, "DELETE FROM t"),
        ("EXPLAIN FORMAT TREE UPDATE t SET a = 1", "EXPLAIN FORMAT TREE ", False, "UPDATE t SET a = 1"),
        ("EXPLAIN (ANALYZE, FORMAT tree) DELETE FROM t", "EXPLAIN (ANALYZE, FORMAT tree) ", True, "DELETE FROM t"),
        ("EXPLAIN (ANALYZE false) DELETE FROM t", "EXPLAIN (ANALYZE false) ", False, "DELETE FROM t"),
        ("/* c */ EXPLAIN SELECT * FROM subscribe('t') s", "EXPLAIN ", False, 'SELECT * FROM "__subscribe_1" s'),
    ],
)
def test_explain_of_ours_has_a_prefix_and_the_statement(text: str, prefix: str, analyze: bool, inner: str) -> None:
    statement = one(text)
    assert isinstance(statement, Explain)
    assert (statement.prefix, statement.analyze) == (prefix, analyze)
    explained = statement.statement
    if not isinstance(explained, Query):
        assert isinstance(explained, Insert | Delete | Update)
        explained = explained.body
    assert explained.body.text == inner
    assert explained.body.origin(0) == (
        text.index(inner) if isinstance(statement.statement, Insert) else text.index(prefix) + len(prefix)
    )


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("SELECT topic FROM topic", "SELECT"),
        ("  -- a comment\n SELECT 1 /* another */ ", "SELECT"),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("VALUES (1), (2)", "VALUES"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH"),
        ("FROM t", "FROM"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", "EXPLAIN"),
        ("EXPLAIN (SELECT 1)", "EXPLAIN"),
        ("DESCRIBE SELECT 1", "DESCRIBE"),
        ("SHOW TABLES", "SHOW"),
        ("SHOW ALL", "SHOW"),
        ("SHOW datafusion.execution.batch_size", "SHOW"),
        ("SET datafusion.execution.batch_size = 5", "SET"),
        ("SET tenant.x = 5", "SET"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("DROP VIEW x", "DROP"),
        ("CREATE VIEW v AS SELECT 1", "CREATE"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "CREATE"),
        ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'x'", "CREATE"),
        ("CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION 'x'", "CREATE"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE"),
        ("COPY t TO 'x.parquet'", "COPY"),
        ("COPY (SELECT * FROM t) TO 'x' STORED AS CSV", "COPY"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("ALTER VIEW v RENAME TO w", "ALTER"),
        ("what is this", "WHAT"),
        ("1 + 1", ""),
        (")", ""),
    ],
)
def test_what_is_not_ours_reaches_datafusion_byte_for_byte(text: str, keyword: str) -> None:
    statement = query(text)
    assert statement.body == plain(text, 0)
    assert statement.keyword == keyword
    assert statement.subscribes == ()


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("CREATE TEMP TABLE t (a INT)", "CREATE TABLE t (a INT)"),
        ("create temporary table t as select ?", "create table t as select $1"),
        ("CREATE OR REPLACE TEMP TABLE t (a INT)", "CREATE OR REPLACE TABLE t (a INT)"),
        ("CREATE GLOBAL TEMPORARY TABLE IF NOT EXISTS t (a INT)", "CREATE TABLE IF NOT EXISTS t (a INT)"),
    ],
)
def test_a_temporary_table_loses_the_word_that_datafusion_refuses(text: str, body: str) -> None:
    assert query(text).body.text == body


def test_the_words_of_a_query_are_its_identifiers_folded_or_unquoted() -> None:
    words = query("SELECT A, \"B c\", `D` FROM s.E WHERE x = 'not_me' -- nor me\n").words
    assert words >= {"a", "B c", "D", "s", "e", "x"}
    assert not words & {"not_me", "nor", "me", "A", "b"}


@pytest.mark.parametrize(
    ("text", "query"), [("KILL 'a'", "'a'"), ("kill ?", "$1"), ("KILL :id", "$id"), ("KILL 'a' || $1", "'a' || $1")]
)
def test_kill_takes_an_expression(text: str, query: str) -> None:
    statement = one(text)
    assert isinstance(statement, Kill)
    assert statement.query.text == query


@pytest.mark.parametrize(("text", "position"), [("KILL", 4), ("KILL 'a')", 8)])
def test_kill_of_what_is_no_expression_is_refused(text: str, position: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "what", "position"),
    [
        ("CREATE OR REPLACE TABLE t AS SELECT 1", "CREATE OR REPLACE TABLE", 0),
    ],
)
def test_what_comes_later_is_named_with_a_hint(text: str, what: str, position: int) -> None:
    statement = one(text)
    assert isinstance(statement, Unsupported)
    assert (statement.what, statement.position) == (what, position)
    assert statement.hint


@pytest.mark.parametrize(
    "text", ["SELECT asof FROM t", "SELECT * FROM asof JOIN b ON x", "SELECT * FROM t AS asof JOIN b ON x"]
)
def test_asof_stays_a_name_elsewhere(text: str) -> None:
    assert query(text).body.text == text


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("INSERT", 6),
        ("INSERT INTO", 11),
        ("INSERT INTO t", 13),
        ("INSERT INTO t RETURNING a", 14),
        ("INSERT INTO t VALUES (1) RETURNING", 34),
        ("INSERT INTO 'x' VALUES (1)", 12),
        ("UPDATE", 6),
        ("DELETE FROM (t)", 12),
        ("MERGE INTO ?", 11),
        ("TRUNCATE", 8),
        ("TRUNCATE TABLE", 14),
        ("CREATE SCHEMA", 13),
        ("CREATE SCHEMA s AUTHORIZATION x", 16),
        ("DROP SCHEMA s x", 14),
        ("SET tenant", 10),
        ("SET tenant =", 12),
        ("SET jammi.", 10),
        ("SET jammi.x", 11),
        ("SET jammi.x =", 13),
        ("SHOW tenant x", 12),
        ("SHOW jammi.x y", 13),
        ("RESET tenant x", 13),
        ("DESCRIBE", 8),
        ("DESCRIBE t x", 11),
        ("BEGIN READ ONLY", 6),
        ("BEGIN IMMEDIATE", 6),
        ("START", 5),
        ("COMMIT AND CHAIN", 7),
        ("ROLLBACK TO", 11),
        ("ABORT TO s", 6),
        ("SAVEPOINT", 9),
        ("SAVEPOINT 'x'", 10),
        ("RELEASE", 7),
        ("EXPLAIN", 7),
        ("EXPLAIN ANALYZE", 15),
        ("EXPLAIN EXPLAIN SELECT 1", 8),
        ("EXPLAIN (ANALYZE", 16),
    ],
)
def test_malformed_statements_are_syntax_errors_with_position_and_hint(text: str, position: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        one(text)
    assert caught.value.position == position
    assert caught.value.hint
