"""Predicates: what they mean, and what they refuse."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from datafusion import SessionContext

from jammi_sql.errors import (
    DataError,
    NotSupportedError,
    PredicateParse,
    PredicateUnsupported,
    ProgrammingError,
    StatementTooComplex,
)
from jammi_sql.topics import Predicate
from jammi_sql.topics.predicate import MaskEvaluator
from tests.topic_support import SCHEMA, batch_of, numbers

NAN = float("nan")
WIDE = pa.schema(
    [
        pa.field("n", pa.int64(), nullable=False),
        pa.field("i", pa.int64()),
        pa.field("f", pa.float64()),
        pa.field("s", pa.utf8()),
        pa.field("b", pa.bool_()),
        pa.field("t", pa.timestamp("us", "UTC")),
        pa.field("d", pa.decimal128(10, 2)),
        pa.field("l", pa.list_(pa.int64())),
        pa.field("p", pa.struct([pa.field("x", pa.int64())])),
    ]
)
ROWS = pa.RecordBatch.from_pydict(
    {
        "n": list(range(8)),
        "i": [None, 0, 1, -1, 5, 2**62, 7, None],
        "f": [None, NAN, 1.0, -0.0, 0.0, 1e300, -1.0, NAN],
        "s": [None, "", "X", "x", "50%", "a_b", "12", "X"],
        "b": [None, True, False, True, None, False, True, False],
        "t": pa.array([None, 0, 1, 2, 3, 4, 5, 6], pa.timestamp("us", "UTC")),
        "d": pa.array([None, "1.10", "1.10", "0.00", "-5.00", "9.99", "2.00", "3.00"]).cast(pa.decimal128(10, 2)),
        "l": [None, [], [1], [1, 2], [None], [5], [7, 7], [0]],
        "p": [None, {"x": None}, {"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 5}, {"x": 6}],
    },
    schema=WIDE,
)

PUSHED = [
    "i = 1", "i <> 1", "i < 1", "i >= 1", "1 < i", "i BETWEEN 0 AND 5", "i NOT BETWEEN 0 AND 5",
    "i IN (1, 5)", "i NOT IN (1, 5)", "i NOT IN (1, NULL)", "i IS NULL", "i IS NOT NULL", "i = NULL",
    "f = 'NaN'", "f > 0", "f >= 1", "f < 'NaN'", "f <> 1.0", "f = 0.0", "f = -0.0", "f BETWEEN -1 AND 'NaN'",
    "s = 'X'", "s > 'A'", "s IN ('X', 'x')", "s <> ''", "b", "NOT b", "b IS TRUE", "b IS NOT TRUE", "b = true",
    "t > '1970-01-01T00:00:00.000003Z'", "d = 1.10", "d > 1",
    "i > 0 AND s = 'X'", "i > 0 OR s IS NULL", "NOT (i > 0 OR f > 0)", "(i = 1) = (s = 'X')",
    "true", "false", "NULL", "1 = 1", "i = i",
]  # fmt: skip
EVALUATED = [
    "s LIKE 'X%'", "s ILIKE 'x'", r"s LIKE '50\%'", "s LIKE 'a_b'", "s NOT LIKE 'X%'", "s ~ '^[0-9]+$'",
    "i % 2 = 1", "i + 1 > 5", "i * 2 = 2", "-i > 0", "abs(f) >= 1", "isnan(f)",
    "CASE WHEN i > 0 THEN s = 'X' ELSE b END", "CASE s WHEN 'X' THEN true END", "CAST(i AS VARCHAR) = '5'",
    "TRY_CAST(s AS BIGINT) = 12", "upper(s) = 'X'", "length(s) = 3", "coalesce(i, -7) = -7", "nullif(s, 'X') IS NULL",
    "concat(s, '!') = 'X!'", "date_part('epoch', t) >= 0", "l[1] = 1", "array_length(l) = 2", "p['x'] > 3", "s || s = 'XX'",
    "i > 0 AND s LIKE '%X%'", "i IS DISTINCT FROM 1", "now() > t",
]  # fmt: skip


def by_datafusion(condition: str) -> list[int]:
    """The rows that DataFusion itself finds."""
    context = SessionContext()
    context.register_record_batches("topic", [[ROWS]])
    found = context.sql(f"SELECT n FROM topic WHERE {condition} ORDER BY n").to_arrow_table()
    return [int(str(number)) for number in found.column("n").to_pylist()]


def selected(predicate: Predicate, rows: pa.RecordBatch) -> list[int]:
    (kept,) = predicate.select([rows])
    return [] if kept is None else numbers(kept, "n")


@pytest.mark.parametrize("condition", [*PUSHED, *EVALUATED])
def test_a_condition_selects_what_datafusion_selects(condition: str) -> None:
    predicate = Predicate.from_sql(WIDE, condition)
    expected = by_datafusion(condition)
    assert selected(predicate, ROWS) == expected
    # The same over many batches at once, and over single rows.
    rows = [ROWS.slice(number, 1) for number in range(ROWS.num_rows)]
    kept = predicate.select(rows)
    assert [number for number, one in enumerate(kept) if one is not None] == expected
    assert [number for number, one in enumerate(rows) if predicate.select([one])[0] is not None] == expected


def test_null_and_nan_have_their_sql_meaning() -> None:
    expected = {
        "i NOT IN (1, 5)": [1, 3, 5, 6],  # no row where i is NULL
        "i NOT IN (1, NULL)": [],
        "i <> 1": [1, 3, 4, 5, 6],
        "NOT (i = 1)": [1, 3, 4, 5, 6],
        "f > 1": [1, 5, 7],  # NaN is greater than every number
        "f = 'NaN'": [1, 7],  # and equal to itself
        "i = NULL": [],
        "b": [1, 3, 6],
        "NOT b": [2, 5, 7],
    }
    assert {text: selected(Predicate.from_sql(WIDE, text), ROWS) for text in expected} == expected


@pytest.fixture
def without_datafusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(MaskEvaluator, "mask")


@pytest.mark.parametrize("text", ["i = 1", "i NOT BETWEEN 0 AND 5 AND s > 'A'", "f > 0", "NOT b"])
def test_simple_conditions_run_without_datafusion_and_prune(text: str, without_datafusion: None) -> None:
    predicate = Predicate.from_sql(WIDE, text)
    predicate.mask(ROWS)
    assert predicate.pruning_node is not None


@pytest.mark.parametrize(
    "text", ["i * 2 + 1 > 3", "lower(s) LIKE 'x%'", "CASE WHEN b THEN i ELSE 0 END = 1", "f / 0 > 1"]
)
def test_listed_expressions_run_without_datafusion(text: str, without_datafusion: None) -> None:
    Predicate.from_sql(WIDE, text).mask(ROWS)


def test_what_the_kernels_cannot_tell_is_asked_of_datafusion() -> None:
    assert selected(Predicate.from_sql(WIDE, "reverse(s) = 'x'"), ROWS) == [3]
    beyond_ascii = pa.RecordBatch.from_pylist([{"n": 1, "s": "STRASSE"}, {"n": 2, "s": "straße"}], schema=WIDE)
    assert selected(Predicate.from_sql(WIDE, "upper(s) = 'STRASSE'"), beyond_ascii) == [1, 2]
    with pytest.raises(DataError, match="Divide by zero"):
        selected(Predicate.from_sql(WIDE, "10 / i = 10"), ROWS)


def test_what_can_prune_in_a_mixed_condition_still_does() -> None:
    predicate = Predicate.from_sql(WIDE, "i > 0 AND s LIKE '%X%'")
    assert predicate.pruning_node is not None


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_text_matches_everything(text: str) -> None:
    predicate = Predicate.from_sql(SCHEMA, text)
    assert predicate.matches_all
    batch = batch_of([1, 2])
    assert predicate.select([batch]) == [batch]
    assert predicate.mask(batch).to_pylist() == [True, True]


UNSUPPORTED = [
    "SUM(id) > 0", "count(*) > 1", "id > max(id)", "avg(value) FILTER (WHERE id > 1) > 1",
    "id IN (SELECT 1)", "id NOT IN (SELECT id FROM topic)", "EXISTS (SELECT 1)", "id = (SELECT 1)", "id > (SELECT max(id) FROM topic)",
    "row_number() OVER () = 1", "sum(id) OVER (ORDER BY id) > 1", "lag(id) OVER (ORDER BY id) = 1",
    "CASE WHEN EXISTS (SELECT 1) THEN true ELSE false END", "abs(id) = (SELECT 1)",
]  # fmt: skip


@pytest.mark.parametrize("text", UNSUPPORTED)
def test_sub_queries_aggregates_and_window_functions_are_unsupported(text: str) -> None:
    with pytest.raises(PredicateUnsupported) as caught:
        Predicate.from_sql(SCHEMA, text)
    assert isinstance(caught.value, NotSupportedError)
    assert (caught.value.sqlstate, bool(caught.value.hint)) == ("0A000", True)


UNPARSABLE = {
    "(((": "42601", "id =": "42601", "= 1": "42601", "id id": "42601", "id == ": "42601", "'open": "42601", "id > 1 AND": "42601",
    "SELECT 1": "42601", "nothing = 1": "42703", "topic.nothing = 1": "42703", '"ID" = 1': "42703", "nofunction(id) = 1": "42883",
}  # fmt: skip


@pytest.mark.parametrize(("text", "sqlstate"), UNPARSABLE.items())
def test_what_is_no_condition_over_the_columns_does_not_parse(text: str, sqlstate: str) -> None:
    with pytest.raises(PredicateParse) as caught:
        Predicate.from_sql(SCHEMA, text)
    assert isinstance(caught.value, ProgrammingError)
    assert (caught.value.sqlstate, bool(caught.value.hint)) == (sqlstate, True)
    position = caught.value.position
    assert position is None or 0 <= position <= len(text)


@pytest.mark.parametrize("text", ["id", "id + 1", "'true'", "upper(kind)", "value"])
def test_a_value_that_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(PredicateParse):
        Predicate.from_sql(SCHEMA, text)


INJECTIONS = [
    "true) OR (true", "1=1; DROP TOPIC x", "id = 1; SELECT 1", "id = 1) UNION SELECT * FROM (VALUES (1)", "id = 1 GROUP BY id",
    "id = 1 ORDER BY id", "id = 1 LIMIT 1", "id = 1 UNION ALL SELECT 1", "id = 1 AS x", "id = 1, kind = 'X'", "; id = 1", ";",
    "id = 1 -- AND kind = 'Y'\n) OR (1 = 1", "/* id = 1", "id = 1 */", "DROP TOPIC x", "*", "$1", "?", ":name", "id = $1",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_that_is_more_or_less_than_one_expression_is_refused(text: str) -> None:
    with pytest.raises((PredicateParse, PredicateUnsupported)) as caught:
        Predicate.from_sql(SCHEMA, text)
    assert caught.value.sqlstate in ("42601", "42703", "0A000")


@pytest.mark.parametrize("text", ["id = 1 -- a comment", "/* first */ id = 1", "id /* in between */ = 1", "  id = 1\n"])
def test_comments_and_white_space_change_nothing(text: str) -> None:
    kept = Predicate.from_sql(SCHEMA, text).select([batch_of([0, 1, 2])])[0]
    assert kept is not None
    assert numbers(kept) == [1]


@pytest.mark.parametrize("text", ["-- nothing but a comment", "/* nothing */"])
def test_a_comment_alone_is_no_condition(text: str) -> None:
    with pytest.raises(PredicateParse):
        Predicate.from_sql(SCHEMA, text)


@pytest.mark.parametrize(
    "text", ["kind = 'it''s'", "kind = 'a;b'", "kind = '--'", "kind = ')'", "kind = '?'", "kind = '$1'"]
)
def test_special_characters_inside_literals_are_text(text: str) -> None:
    literal = text.split("'", 1)[1][:-1].replace("''", "'")
    batch = batch_of([0, 1], [literal, "other"])
    kept = Predicate.from_sql(SCHEMA, text).select([batch])[0]
    assert kept is not None
    assert numbers(kept) == [0]


def test_a_predicate_is_used_by_many_threads_at_once() -> None:
    predicate = Predicate.from_sql(SCHEMA, "id % 2 = 0 AND upper(kind) = 'X'")

    def select(first: int) -> list[int]:
        kept = predicate.select([batch_of(range(first, first + 10), "x")])[0]
        return [] if kept is None else numbers(kept)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(select, range(0, 200, 10)))
    assert answers == [list(range(first, first + 10, 2)) for first in range(0, 200, 10)]


def test_unchanged_batches_are_not_copied() -> None:
    predicate = Predicate.from_sql(SCHEMA, "id >= 0")
    batches = [batch_of([1, 2]), batch_of([3])]
    for kept, batch in zip(predicate.select(batches), batches, strict=True):
        assert kept is batch


def test_a_predicate_that_would_end_the_process_is_refused() -> None:
    text = " OR ".join(f"k < {number}" for number in range(20_000))
    with pytest.raises(StatementTooComplex) as caught:
        Predicate.from_sql(pa.schema([("k", pa.int64())]), text)
    assert caught.value.position is not None
