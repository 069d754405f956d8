"""Whatever the text, the dialect answers with statements or with a declared error, and tells the truth about places."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar

from hypothesis import example, given
from hypothesis import strategies as st

from jammi_sql.dialect import parse
from jammi_sql.dialect.statements import Fragment, Insert, Query, SubscribeCall
from jammi_sql.dialect.tokens import tokenize
from jammi_sql.errors import Error, FeatureNotSupported, StatementSyntaxError

VALID = [
    "CREATE GLOBAL TOPIC IF NOT EXISTS s.t (a INT NOT NULL COMMENT 'x', b STRUCT<c INT, d VARCHAR[]>) WITH (k = 'v')",
    "CREATE TOPIC t WITH (k = -1.5) AS SELECT a, ? FROM subscribe('u', until => 'latest')",
    "ALTER TOPIC t ADD COLUMN IF NOT EXISTS b DECIMAL(10, 2) COMMENT E'a\\'b'",
    "ALTER TOPIC t SET (a.b = true); ALTER TOPIC t RESET (a, b); ALTER TOPIC t RENAME TO \"U\"",
    "TRUNCATE TOPIC t BEFORE TIMESTAMP '2020-01-01'",
    "DROP TOPIC IF EXISTS t; SHOW TOPICS LIKE 'a%'; SHOW CREATE TOPIC t; DESCRIBE TABLE t",
    "INSERT INTO t (a, b) VALUES (?, f(?)), (1, [2, 3]), (NULL, 'x''y') RETURNING _offset, a",
    "INSERT INTO t SELECT arr[:x:y], {'k':v, 'w': :p}, x::int FROM u WHERE z = :q",
    "SELECT s.a FROM t, subscribe(:topic, from => 5, idle_timeout => INTERVAL '1 s') AS s JOIN u ON s.a = u.a LIMIT :n",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM (SELECT * FROM subscribe('a') WHERE b > $1) x",
    "UPDATE t SET a = 1; DELETE FROM t USING u; MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE; TRUNCATE TABLE t",
    "CREATE GLOBAL MUTABLE TABLE IF NOT EXISTS s.t (a INT PRIMARY KEY, b VARCHAR DEFAULT 'x' || ? NOT NULL COMMENT 'c', "
    "c DECIMAL(10, 2) UNIQUE DEFAULT CASE WHEN 1 IS NOT NULL THEN (2) END, CONSTRAINT k UNIQUE (b, c)) WITH (k = 'v')",
    "CREATE TABLE t (a INT, b INT NULL, PRIMARY KEY (a), UNIQUE (b)); CREATE TABLE t WITH (k = 1) AS SELECT * FROM subscribe('u')",
    "CREATE UNIQUE INDEX IF NOT EXISTS s.i ON s.t (a ASC, \"B\"); DROP INDEX IF EXISTS i; DROP TABLE IF EXISTS t CASCADE",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT DEFAULT 5 NOT NULL; ALTER TABLE t DROP COLUMN IF EXISTS a; "
    "ALTER TABLE t RENAME a TO b; ALTER TABLE t RENAME TO s.u",
    "UPDATE s.t AS x SET x.a = 1, b = DEFAULT, (c, d) = ROW(:p, (2)), e = (SELECT max(b) FROM subscribe('v', until => 1)) "
    "FROM u, subscribe(:q) JOIN w USING (a) WHERE x.a IS NOT DISTINCT FROM extract(year FROM u.a) RETURNING *, :r",
    "DELETE FROM t x USING subscribe('u') WHERE x.a = (CASE WHEN u.b THEN ? ELSE [1, (2)] END) RETURNING (a), b",
    "MERGE INTO s.t AS x USING subscribe('u', until => $1) ON x.a = subscribe.a WHEN MATCHED AND CASE WHEN b THEN c END "
    "THEN UPDATE SET a = $2, (b, c) = (1, DEFAULT) WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY TARGET AND b THEN INSERT "
    "(a, b) VALUES ($3, DEFAULT) WHEN NOT MATCHED THEN INSERT DEFAULT VALUES WHEN NOT MATCHED BY SOURCE THEN DO NOTHING "
    "RETURNING a, $1",
    "MERGE INTO t USING (SELECT a FROM subscribe('u')) AS s (a, b) ON t.a = s.a WHEN NOT MATCHED THEN INSERT VALUES (1, (2))",
    "INSERT INTO t AS x (a, b) VALUES (?, DEFAULT), (1, (2), DEFAULT), (3, 4) ON CONFLICT (a, b) DO UPDATE SET a = "
    "excluded.a, b = (SELECT ? FROM subscribe('u')), c = DEFAULT WHERE x.a < excluded.a RETURNING _offset, (a)",
    "INSERT INTO t (SELECT * FROM u JOIN v ON conflict (a)) ON CONFLICT DO NOTHING; INSERT INTO t DEFAULT VALUES RETURNING *",
    "CREATE SCHEMA IF NOT EXISTS s; DROP SCHEMA s CASCADE; CREATE OR REPLACE TEMP TABLE t AS SELECT 1",
    "SET tenant = ?; SHOW tenant; RESET tenant; SET jammi.a.b TO 5; SHOW jammi.x; RESET jammi.x",
    "BEGIN TRANSACTION; SAVEPOINT s; ROLLBACK TO SAVEPOINT s; RELEASE s; COMMIT; START TRANSACTION; ROLLBACK",
    "SELECT $$a;b$$, $t$ $$ $t$, E'\\'', `q``r`, \"s\"\"t\" /* a /* b */ c */ -- d\n FROM x ASOF LEFT JOIN y ON z",
    "COPY t (a) FROM 'x'; CALL f(1); CREATE UNIQUE INDEX i ON t (a); PREPARE p AS SELECT $1",
]  # fmt: skip

PIECES = sorted(
    {match for text in VALID for match in re.findall(r"\w+|\s+|[^\w\s]+?", text)}
    | {
        "'",
        '"',
        "`",
        "$$",
        "$a$",
        "/*",
        "*/",
        "--",
        "\n",
        "\\",
        "E'",
        "=>",
        "::",
        "\x00",
        "é",
        "\u3000",
        "👍",
        "\ud800",
    }
)
DECLARED = {"42701", "42703", "42P16"}
T = TypeVar("T")
soups = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
spaced_soups = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 30, len(text))))
        kind = draw(st.sampled_from(["cut", "delete", "double", "flip", "insert"]))
        if kind == "cut":
            text = text[:start]
        elif kind == "delete":
            text = text[:start] + text[end:]
        elif kind == "double":
            text = text[:end] + text[start:]
        elif kind == "flip" and start < len(text):
            flipped = ord(text[start]) ^ (1 << draw(st.integers(0, 6)))
            text = text[:start] + chr(flipped) + text[start + 1 :]
        else:
            text = text[:start] + draw(st.sampled_from(PIECES)) + text[start:]
    return text


texts = st.one_of(soups, spaced_soups, mutated(), st.sampled_from(VALID), st.text(max_size=60))


def within(value: object, kind: type[T]) -> list[T]:
    """Everything of a class in a statement, however deep."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, tuple):
        return [each for item in value for each in within(item, kind)]
    if isinstance(value, Mapping):
        return [each for item in value.values() for each in within(item, kind)]
    if is_dataclass(value):
        return [each for item in fields(value) for each in within(getattr(value, item.name), kind)]
    return []


@given(texts)
@example("INSERT INTO t RETURNING a")
@example("EXPLAIN EXPLAIN " * 2000)
@example("(" * 5000)
@example("SELECT * FROM " + "(SELECT * FROM subscribe(" * 500)
def test_only_declared_errors_come_out_and_their_place_is_in_the_text(text: str) -> None:
    error = raised(text)
    if error is not None:
        assert isinstance(error, StatementSyntaxError | FeatureNotSupported) or error.sqlstate in DECLARED
        assert error.position is not None
        assert 0 <= error.position <= len(text)
        assert error.hint


def raised(text: str) -> Error | None:
    """The declared error of parsing; any other exception fails the test."""
    try:
        parse(text)
    except Error as error:
        return error
    return None


@given(texts)
def test_the_statements_and_the_semicolons_make_up_the_text(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    end = 0
    for each in parsed:
        assert text[each.position : each.position + len(each.text)] == each.text
        assert tokenize(text[end : each.position]) == [] or set(texts_of(text[end : each.position])) == {";"}
        end = each.position + len(each.text)
    assert set(texts_of(text[end:])) <= {";"}


def texts_of(text: str) -> list[str]:
    return [token.text for token in tokenize(text)]


@given(texts)
@example("SELECT 1 -- ?")
def test_a_query_without_parameters_and_subscribe_is_the_users_text_byte_for_byte(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    for each in parsed:
        statement = each.statement
        rewritten = re.search(r"(?i)\btemp", each.text) is not None
        if isinstance(statement, Query) and not statement.subscribes and not each.parameters and not rewritten:
            assert statement.body == Fragment(each.text, ((0, each.position),))


@given(texts)
def test_every_origin_is_a_place_in_the_text_that_says_the_same(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    for each in parsed:
        for fragment in within(each.statement, Fragment):
            starts = [start for start, _ in fragment.origins]
            assert starts[0] == 0
            assert starts == sorted(starts)
            bounds = [*fragment.origins, (len(fragment.text), len(text))]
            for (start, source), (end, _) in itertools.pairwise(bounds):
                assert 0 <= source <= len(text)
                run = fragment.text[start:end]
                # A run is the user's text, or what was put in the place of a parameter or a subscribe call.
                same = text[source : source + len(run)] == run
                assert same or re.fullmatch(r' ?\$\w+ ?|"__subscribe_\d+"| AS subscribe|OR REPLACE ', run)


@given(texts)
def test_the_places_of_an_inserts_parameters_hold_their_placeholders(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    for each in parsed:
        if isinstance(each.statement, Insert):
            body = each.statement.body.body.text
            for start, end, key in each.statement.parameters:
                assert body[start:end] == f"${key}"
                assert key in each.parameters


@given(texts)
def test_the_places_in_an_inserts_source_hold_what_they_say(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    for each in parsed:
        if isinstance(each.statement, Insert) and each.statement.source is not None:
            source = each.statement.source.body
            assert each.statement.body.body.text.endswith(source.text)
            assert text[source.origin(0) :].startswith(source.text[:1])
            for start, end, key in each.statement.source_parameters:
                assert source.text[start:end] == f"${key}"
            for start, end, column in each.statement.defaults:
                assert source.text[start:end].upper() == text[source.origin(start) :][:7].upper() == "DEFAULT"
                assert column >= 0


@given(texts)
def test_no_fragment_holds_a_parameter_or_a_subscribe_that_is_not_accounted_for(text: str) -> None:
    try:
        parsed = parse(text)
    except Error:
        return
    for each in parsed:
        relations = {call.relation for call in within(each.statement, SubscribeCall)}
        for fragment in within(each.statement, Fragment):
            tokens = tokenize(fragment.text)
            is_prepared = tokenize(each.text)[0].keyword == "PREPARE"  # whose placeholders are its own
            assert is_prepared or not any((token.kind, token.text) == ("parameter", "?") for token in tokens)
            used = {token.text[1:-1] for token in tokens if token.text.startswith('"__subscribe_')}
            assert used <= relations


@given(texts)
def test_tokens_cover_the_text_but_for_blanks_and_comments(text: str) -> None:
    try:
        tokens = tokenize(text)
    except StatementSyntaxError:
        return
    end = 0
    for token in tokens:
        assert token.text == text[token.start : token.end] != ""
        assert token.start >= end
        assert is_blank(text[end : token.start])
        end = token.end
    assert is_blank(text[end:])


def is_blank(text: str) -> bool:
    """Whether the text is whitespace and comments, found by another way than the tokenizer's."""
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
        elif text.startswith("--", index):
            index = (text + "\n").index("\n", index)
        elif text.startswith("/*", index):
            depth = 1
            index += 2
            while depth:
                mark = text[index : index + 2]
                depth += (mark == "/*") - (mark == "*/")
                index += 2 if mark in {"/*", "*/"} else 1
        else:
            return False
    return True
