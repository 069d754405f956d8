"""Statements on topics: text in, statement or error out."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import (
    AlterTopicAddColumn,
    AlterTopicRename,
    AlterTopicReset,
    AlterTopicSet,
    ColumnDefinition,
    CreateTopic,
    CreateTopicAs,
    DropTopic,
    Name,
    ShowCreateTopic,
    ShowTopics,
    Statement,
    TruncateTopic,
)
from jammi_sql.errors import Error, FeatureNotSupported, ProgrammingError, StatementSyntaxError

from .pairs import one, plain


def columns(text: str) -> list[tuple[str, str, bool, str | None]]:
    statement = one(f"CREATE TOPIC t ({text})")
    assert isinstance(statement, CreateTopic)
    return [(c.name, c.type_text.text, c.nullable, c.comment) for c in statement.columns]


def options(text: str) -> dict[str, str]:
    statement = one(f"ALTER TOPIC t SET ({text})")
    assert isinstance(statement, AlterTopicSet)
    return dict(statement.options)


def test_create_topic_has_name_columns_and_options() -> None:
    text = "CREATE TOPIC IF NOT EXISTS Events.\"Odd\" (a INT NOT NULL) WITH (retention = INTERVAL '7 days');"
    assert one(text) == CreateTopic(
        Name(("events", "Odd"), 27),
        is_global=False,
        if_not_exists=True,
        columns=(ColumnDefinition("a", plain("INT", 43), False, None, 41),),
        options={"retention": "7 days"},
    )


def test_create_global_topic() -> None:
    statement = one("/* c */ create global topic t(a int)")
    assert isinstance(statement, CreateTopic)
    assert statement.is_global
    assert not statement.if_not_exists


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a INT", [("a", "INT", True, None)]),
        ("a INT NOT NULL COMMENT 'it''s'", [("a", "INT", False, "it's")]),
        ("a INT COMMENT 'x' NOT NULL", [("a", "INT", False, "x")]),
        ("a INT NULL", [("a", "INT", True, None)]),
        ("a INT COMMENT E'a\\nb'", [("a", "INT", True, "a\nb")]),
        ("a DECIMAL(10, 2), b INT", [("a", "DECIMAL(10, 2)", True, None), ("b", "INT", True, None)]),
        ("s STRUCT<a INT, b VARCHAR[]>", [("s", "STRUCT<a INT, b VARCHAR[]>", True, None)]),
        ("s STRUCT<a STRUCT<b INT>> NOT NULL", [("s", "STRUCT<a STRUCT<b INT>>", False, None)]),
        ("v FLOAT[384], w INT ARRAY", [("v", "FLOAT[384]", True, None), ("w", "INT ARRAY", True, None)]),
        ("t TIMESTAMP(6) WITH TIME ZONE", [("t", "TIMESTAMP(6) WITH TIME ZONE", True, None)]),
        ("u BIGINT UNSIGNED", [("u", "BIGINT UNSIGNED", True, None)]),
        ("d DOUBLE PRECISION NOT NULL", [("d", "DOUBLE PRECISION", False, None)]),
        ('"A b" INT, A INT', [("A b", "INT", True, None), ("a", "INT", True, None)]),
        ("primary INT, topic INT", [("primary", "INT", True, None), ("topic", "INT", True, None)]),
        ("comment VARCHAR COMMENT 'c'", [("comment", "VARCHAR", True, "c")]),
        ("a STRUCT<x INT COMMENT 'y'> COMMENT 'z'", [("a", "STRUCT<x INT COMMENT 'y'>", True, "z")]),
    ],
)  # fmt: skip
def test_a_column_has_name_type_nullability_and_comment(
    text: str, expected: list[tuple[str, str, bool, str | None]]
) -> None:
    assert columns(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 'x'", {"a": "x"}),
        ("a = 1, b = -1.5, c = +2", {"a": "1", "b": "-1.5", "c": "2"}),
        ("a = TRUE, b = forever, c = \"Word\"", {"a": "true", "b": "forever", "c": "Word"}),
        ("a.B.c = 1, \"X\".y = 2, 'Free text' = 3", {"a.b.c": "1", "X.y": "2", "Free text": "3"}),
        ("retention = INTERVAL '1 hour'", {"retention": "1 hour"}),
    ],
)  # fmt: skip
def test_options_are_text_to_text(text: str, expected: dict[str, str]) -> None:
    assert options(text) == expected


def test_create_topic_as_has_options_and_a_query() -> None:
    text = "CREATE TOPIC t WITH (k = 1) AS SELECT a, ? FROM b;"
    statement = one(text)
    assert isinstance(statement, CreateTopicAs)
    assert statement.name.parts == ("t",)
    assert statement.options == {"k": "1"}
    assert statement.query.body.text == "SELECT a, $1 FROM b"
    assert statement.query.body.origin(0) == text.index("SELECT")
    assert statement.query.words >= {"a", "b"}


@pytest.mark.parametrize(
    "query", ["SELECT 1", "(SELECT 1)", "VALUES (1)", "WITH c AS (SELECT 1) SELECT * FROM c", "FROM x"]
)
def test_create_topic_as_takes_every_kind_of_query(query: str) -> None:
    statement = one(f"CREATE TOPIC t AS {query}")
    assert isinstance(statement, CreateTopicAs)
    assert statement.query.body.text == query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "ALTER TOPIC t ADD COLUMN b INT COMMENT 'x'",
            AlterTopicAddColumn(
                Name(("t",), 12), False, ColumnDefinition("b", plain("INT", 27), True, "x", 25)
            ),
        ),
        (
            "ALTER TOPIC s.t ADD COLUMN IF NOT EXISTS b INT[]",
            AlterTopicAddColumn(Name(("s", "t"), 12), True, ColumnDefinition("b", plain("INT[]", 43), True, None, 41)),
        ),
        ("ALTER TOPIC t SET (a = 1)", AlterTopicSet(Name(("t",), 12), {"a": "1"})),
        ("ALTER TOPIC t RESET (a, B.c, a)", AlterTopicReset(Name(("t",), 12), ("a", "b.c"))),
        ("ALTER TOPIC t RENAME TO s.u", AlterTopicRename(Name(("t",), 12), Name(("s", "u"), 24))),
        ("TRUNCATE TOPIC t BEFORE 5 + 1", TruncateTopic(Name(("t",), 15), plain("5 + 1", 24))),
        ("TRUNCATE TOPIC t BEFORE TIMESTAMP 'x' ;", TruncateTopic(Name(("t",), 15), plain("TIMESTAMP 'x'", 24))),
        ("DROP TOPIC t", DropTopic(Name(("t",), 11), False)),
        ("DROP TOPIC IF EXISTS jammi.s.t", DropTopic(Name(("jammi", "s", "t"), 21), True)),
        ("DROP TOPIC if", DropTopic(Name(("if",), 11), False)),
        ("SHOW TOPICS", ShowTopics(None)),
        ("show topics like 'a%'", ShowTopics(plain("'a%'", 17))),
        ("SHOW CREATE TOPIC t", ShowCreateTopic(Name(("t",), 18))),
    ],
)  # fmt: skip
def test_statements_on_topics(text: str, expected: Statement) -> None:
    assert one(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("CREATE TOPIC", 12, "the topic's name"),
        ("CREATE TOPIC (a INT)", 13, "the topic's name"),
        ("CREATE TOPIC ?", 13, "the topic's name"),
        ("CREATE TOPIC 'x' (a INT)", 13, "the topic's name"),
        ("CREATE TOPIC a² (a INT)", 13, "quoted"),
        ('CREATE TOPIC "" (a INT)', 13, "not empty"),
        ("CREATE TOPIC t", 14, "the columns"),
        ("CREATE TOPIC t ()", 16, "a column's name"),
        ("CREATE TOPIC t (a)", 17, "a type"),
        ("CREATE TOPIC t (a NOT NULL)", 18, "a type"),
        ("CREATE TOPIC t (a INT,)", 22, "a column's name"),
        ("CREATE TOPIC t (a INT", 21, "or )"),
        ("CREATE TOPIC t (a STRUCT<b INT)", 30, ">"),
        ("CREATE TOPIC t (a INT NOT)", 22, "NOT NULL"),
        ("CREATE TOPIC t (a INT NULL NOT NULL)", 27, "COMMENT"),
        ("CREATE TOPIC t (a INT COMMENT x)", 30, "the comment"),
        ("CREATE TOPIC t (a INT COMMENT X'41')", 30, "the comment"),
        ("CREATE TOPIC t (a INT) x", 23, "the end"),
        ("CREATE TOPIC t (a INT) AS SELECT 1", 23, "the end"),
        ("CREATE TOPIC t (a INT) WITH", 27, "("),
        ("CREATE TOPIC t (a INT) WITH ()", 29, "an option's name"),
        ("CREATE TOPIC t (a INT) WITH (k)", 30, "="),
        ("CREATE TOPIC t (a INT) WITH (k = )", 33, "a string"),
        ("CREATE TOPIC t (a INT) WITH (k = 7 days)", 35, ")"),
        ("CREATE TOPIC t (a INT) WITH (k = -x)", 34, "a string"),
        ("CREATE TOPIC t (a INT) WITH (k = ?)", 33, "a string"),
        ("CREATE TOPIC t AS", 17, "a query"),
        ("CREATE TOPIC t AS INSERT INTO u VALUES (1)", 18, "a query"),
        ("CREATE TOPIC t WITH (a = 1)", 27, "AS"),
        ("CREATE OR REPLACE TOPIC t (a INT)", 7, "TOPIC or GLOBAL TOPIC"),
        ("CREATE TEMP TOPIC t (a INT)", 7, "TOPIC or GLOBAL TOPIC"),
        ("ALTER TOPIC t", 13, "ADD COLUMN"),
        ("ALTER TOPIC t DROP COLUMN a", 14, "ADD COLUMN"),
        ("ALTER TOPIC t ADD b INT", 18, "COLUMN"),
        ("ALTER TOPIC t ADD COLUMN b INT, c INT", 30, "the end"),
        ("ALTER TOPIC t RENAME u", 21, "TO"),
        ("ALTER TOPIC t RESET a", 20, "("),
        ("TRUNCATE TOPIC t", 16, "BEFORE"),
        ("TRUNCATE TOPIC t BEFORE", 23, "an offset"),
        ("DROP TOPIC a, b", 12, "the end"),
        ("DROP TOPIC a.", 13, "the topic's name"),
        ("SHOW TOPICS x", 12, "the end"),
        ("SHOW TOPICS LIKE", 16, "a pattern"),
    ],
)
def test_a_malformed_statement_says_what_was_expected_where_and_what_to_write(
    text: str, position: int, expected: str
) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        one(text)
    assert caught.value.message.startswith("expected ")
    assert expected in caught.value.message
    assert ", found " in caught.value.message
    assert caught.value.position == position
    assert caught.value.sqlstate == "42601"
    assert (caught.value.hint or "").startswith("write ")


@pytest.mark.parametrize(
    ("text", "position", "error", "sqlstate"),
    [
        ("CREATE TOPIC t (a INT, A INT)", 23, ProgrammingError, "42701"),
        ("CREATE TOPIC t (a INT) WITH (k = 1, K = 2)", 36, StatementSyntaxError, "42601"),
        ("CREATE TOPIC t (a INT PRIMARY KEY)", 22, FeatureNotSupported, "0A000"),
        ("CREATE TOPIC t (a INT DEFAULT 5)", 22, FeatureNotSupported, "0A000"),
        ("CREATE TOPIC t (a INT NOT NULL UNIQUE)", 31, FeatureNotSupported, "0A000"),
        ("CREATE TOPIC t (a INT, PRIMARY KEY (a))", 23, FeatureNotSupported, "0A000"),
        ("CREATE TOPIC t (a INT, CONSTRAINT c UNIQUE (a))", 23, FeatureNotSupported, "0A000"),
        ("CREATE TOPIC t (a INT, CHECK (a > 0))", 23, FeatureNotSupported, "0A000"),
        ("ALTER TOPIC t ADD COLUMN b INT NOT NULL", 25, StatementSyntaxError, "42601"),
    ],
)
def test_what_a_topic_cannot_have_is_refused_with_a_hint(
    text: str, position: int, error: type[Error], sqlstate: str
) -> None:
    with pytest.raises(error) as caught:
        one(text)
    assert caught.value.position == position
    assert caught.value.sqlstate == sqlstate
    assert caught.value.hint
