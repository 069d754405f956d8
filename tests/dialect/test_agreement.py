"""DataFusion and the dialect read the same characters as strings, comments and identifiers."""

from __future__ import annotations

import datafusion
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jammi_sql.dialect import quote_identifier
from jammi_sql.dialect.identifier import fold, unquote_identifier
from jammi_sql.dialect.keywords import NOT_AN_ALIAS
from jammi_sql.dialect.literals import decode_string
from jammi_sql.dialect.tokens import tokenize
from jammi_sql.errors import StatementSyntaxError

from .pairs import query

CONTEXT = datafusion.SessionContext()
READ_ONLY = datafusion.SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)

# Letters after a backslash that DataFusion takes in E'...': no digits of escapes among them.
ALPHABET = list("'\"`$\\/*-En9Xg;,():?. \n|")
SUFFIXES = ["", "'", '"', "`", "\n'", "*/'", "*/ */'", "$$'", "$g$'", "\\'"]


def datafusion_tokenizes(text: str) -> bool:
    try:
        CONTEXT.sql_with_options(text, READ_ONLY)
    except Exception as error:
        return "TokenizerError" not in str(error)
    return True


def we_tokenize(text: str) -> bool:
    try:
        tokenize(text)
    except StatementSyntaxError:
        return False
    return True


@given(st.lists(st.sampled_from(ALPHABET), max_size=14).map("".join))
@example("E'\\'")
@example("X'\\'")
@example("9E'\\''")
@example("$gE'\\''")
@example("/*/**/")
@example("||/*'")
@example("//*'")
@example("$g$$'")
@example("n'' ''")
@example("--'\n")
def test_both_are_in_the_same_state_after_any_text(text: str) -> None:
    # Which endings make a text complete tells whether it stopped in a string, an identifier or a comment.
    for suffix in SUFFIXES:
        complete = f"SELECT {text}{suffix}"
        assert we_tokenize(complete) == datafusion_tokenizes(complete), complete


def plain_string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def escaped_string(value: str) -> str:
    named = {
        "\n": "\\n",
        "\t": "\\t",
        "'": "\\'",
        "\\": "\\\\",
        "é": "\\u00e9",
        "😀": "\\U0001F600",
        "A": "\\x41",
        "Z": "\\132",
    }
    return "E'" + "".join(named.get(character, character) for character in value) + "'"


values = st.text(st.sampled_from(list("aAZé😀'\"`\\$-/*;?:n\n\t ")), max_size=8)
literals = st.one_of(
    values.map(plain_string),
    values.map(escaped_string),
    values.filter(lambda value: "$" not in value).map(lambda value: f"$${value}$$"),
    values.filter(lambda value: "$" not in value).map(lambda value: f"$tag${value}$tag$"),
)
comments = st.one_of(
    st.just(""),
    values.filter(lambda value: "\n" not in value).map(lambda value: f"--{value}\n"),
    values.map(lambda value: f"/*{value.replace('/', '').replace('*', '')}/*{value.replace('/', '')}*/ */"),
)


@given(st.lists(st.tuples(literals, comments), min_size=1, max_size=5))
def test_string_literals_between_comments_mean_the_same_to_both(items: list[tuple[str, str]]) -> None:
    text = "SELECT [" + ", ".join(f"{comment}{literal} {comment}" for literal, comment in items) + "] AS v"
    ours = [decode_string(token) for token in tokenize(text) if token.kind == "string"]
    (batch,) = CONTEXT.sql_with_options(text, READ_ONLY).collect()
    assert batch.column("v")[0].as_py() == ours


@given(st.text(st.sampled_from(list("aB1_$#@ é.'\"`;-/*?:")), min_size=1, max_size=8))
def test_a_quoted_identifier_means_the_same_to_both(name: str) -> None:
    text = f"SELECT 1 AS {quote_identifier(name)}"
    assert unquote_identifier(tokenize(text)[-1].text) == name
    assert CONTEXT.sql_with_options(text, READ_ONLY).schema().names == [name]


@pytest.mark.parametrize("name", ["Ab", "É", "नाम", "a$B#c@D", "_X9", "@a", "#B", "İ"])
def test_an_unquoted_identifier_folds_the_same_way_for_both(name: str) -> None:
    text = f"SELECT 1 AS {name}"
    assert fold(tokenize(text)[-1].text) == CONTEXT.sql_with_options(text, READ_ONLY).schema().names[0]


@pytest.mark.parametrize(
    "text", ["1 -- x\r + 1", "1 -- x\n + 1", "1\u3000+\u00a01", "1 /* a /* b */ */ + 1", "1 //* 2"]
)
def test_blanks_and_comments_end_at_the_same_place_for_both(text: str) -> None:
    kept = " ".join(token.text for token in tokenize(f"SELECT {text}"))

    def outcome(statement: str) -> object:
        try:
            return CONTEXT.sql_with_options(statement, READ_ONLY).collect()[0].column(0).to_pylist()
        except Exception as error:
            return type(error)

    assert outcome(f"SELECT {text}") == outcome(kept)


@pytest.mark.parametrize("word", sorted(NOT_AN_ALIAS))
def test_a_word_that_is_no_alias_is_none_for_datafusion(word: str) -> None:
    assert not is_alias(word)


@pytest.mark.parametrize("word", ["s", "topic", "subscribe", "until", "key", "values", "first", "comment", "over"])
def test_any_other_word_after_a_relation_is_its_alias(word: str) -> None:
    assert is_alias(word)
    assert query(f"SELECT 1 FROM subscribe('t') {word}").body.text == f'SELECT 1 FROM "__subscribe_1" {word}'


def is_alias(word: str) -> bool:
    try:
        plan = CONTEXT.sql_with_options(f"SELECT 1 FROM information_schema.tables {word}", READ_ONLY).logical_plan()
    except Exception:
        return False
    return "SubqueryAlias" in plan.display_indent()


blanks = st.sampled_from(["", " "])
operands = st.sampled_from(["a", "b", "1", ":p", ":q", '"a"', "'x'"])
expressions = st.recursive(
    operands,
    lambda inner: st.one_of(
        st.builds("arr[{}{}:{}{}]".format, inner, blanks, blanks, inner),
        st.builds("{{'k'{}:{}{}, 'l':{}}}".format, blanks, blanks, inner, inner),
        st.builds("CASE WHEN {} = {} THEN {} ELSE {} END".format, inner, inner, inner, inner),
        st.builds("({})".format, inner),
        st.builds("[{},{}]".format, inner, inner),
        st.builds("{} + {}".format, inner, inner),
        st.builds("{}::int".format, inner),
    ),
    max_leaves=8,
)


@given(expressions)
@example("arr[a:b]")
@example("arr[:p:b]")
@example("arr[CASE WHEN a = :p THEN :q ELSE 1 END:b]")
@example("{'k':b, 'l': :p}")
@example("[:p, {'k'::p}]")
def test_a_colon_begins_a_parameter_for_both_or_for_neither(expression: str) -> None:
    source = "(SELECT 1 AS a, 2 AS b, [1, 2, 3] AS arr)"
    text = f"SELECT {expression} AS x FROM {source} WHERE a =:p LIMIT 3"
    assert plan(text) == plan(query(text).body.text)


def plan(text: str) -> str | None:
    """DataFusion's plan with ``:name`` as ``$name``, ``None`` if it has none; it takes both spellings itself."""
    try:
        shown = CONTEXT.sql_with_options(text, READ_ONLY).logical_plan().display_indent()
    except Exception:
        return None
    return shown.replace(":p", "$p").replace(":q", "$q")
