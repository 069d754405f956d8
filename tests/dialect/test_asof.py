"""How an as-of join is taken out of the text."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import AsofJoin, Explain, Insert, Query

from .pairs import one, query


def only(text: str) -> AsofJoin:
    (join,) = query(text).asofs
    return join


def test_an_ordinary_join_with_a_marker_is_left_in_its_place() -> None:
    found = query("SELECT * FROM l /* x */ ASOF LEFT JOIN s.r AS R2 -- y\nON l.k=R2.k AND l.t>=R2.t WHERE 1=1")
    assert found.body.text == 'SELECT * FROM l /* x */  LEFT JOIN "__asof_1" AS "r2" -- y\nON "__asof_1_on" WHERE 1=1'
    (join,) = found.asofs
    assert (join.left.text, join.right.text, join.alias, join.keeps_left) == ("l", "s.r AS R2", "r2", True)
    assert [(c.first.text, c.operator, c.second.text) for c in join.comparisons] == [
        ("l.k", "=", "R2.k"),
        ("l.t", ">=", "R2.t"),
    ]


def test_places_in_what_is_left_and_in_what_is_taken_out_are_those_of_the_input() -> None:
    text = "SELECT z FROM l ASOF JOIN r ON l.k = r.k AND l.t > r.t WHERE zz"
    body, join = query(text).body, only(text)
    assert body.origin(body.text.index("zz")) == text.index("zz")
    assert join.comparisons[1].second.origin(0) == text.index("r.t")
    assert join.position == text.index("ASOF")
    assert join.comparisons[1].position == text.index("l.t")


@pytest.mark.parametrize(
    ("source", "alias"),
    [
        ("r", "r"),
        ('a."B"', "B"),
        ("a.b.c x", "x"),
        ("(SELECT 1) AS x", "x"),
        ("((SELECT 1)) x (a, b)", "x"),
        ("(SELECT 1)", None),
        ("'f.parquet' f", "f"),
        ("f(1, (2)) AS g", "g"),
    ],
)
def test_the_right_side_is_one_table_reference(source: str, alias: str | None) -> None:
    join = only(f"SELECT 1 FROM l ASOF JOIN {source} ON l.t >= r.t")
    assert (join.right.text, join.alias) == (source, alias)


@pytest.mark.parametrize(
    ("before", "left"),
    [
        ("FROM l", "l"),
        ("FROM a, b l", "b l"),
        ("FROM a JOIN b ON a.x = b.x", "a JOIN b ON a.x = b.x"),
        ("FROM (SELECT 1, 2 FROM x) AS l", "(SELECT 1, 2 FROM x) AS l"),
        ("FROM a JOIN b ON a.x IS NOT DISTINCT FROM b.x", "a JOIN b ON a.x IS NOT DISTINCT FROM b.x"),
        ("FROM f(a, b) l", "f(a, b) l"),
    ],
)
def test_the_left_side_is_all_that_was_joined_before(before: str, left: str) -> None:
    assert only(f"SELECT 1 {before} ASOF JOIN r ON l.t >= r.t").left.text == left


@pytest.mark.parametrize(
    "after",
    ["", " WHERE a", " GROUP BY 1", ", x", " JOIN (SELECT 1) y ON true", " LEFT JOIN y ON true", " UNION SELECT 2", " LIMIT 1", " CROSS JOIN z", " NATURAL JOIN z"],
)  # fmt: skip
def test_the_condition_ends_where_a_condition_does(after: str) -> None:
    found = query(f"SELECT 1 FROM l ASOF JOIN r ON left(l.k, 1) = r.k AND l.t >= CASE WHEN r.x THEN r.t END{after}")
    assert found.body.text == f'SELECT 1 FROM l  JOIN "__asof_1" AS "r" ON "__asof_1_on"{after}'


def test_comparisons_may_stand_in_parentheses_and_have_operators_of_two_signs() -> None:
    join = only("SELECT 1 FROM l ASOF JOIN r ON ((l.j->'x' == r.k) AND (l.t <=-r.t))")
    assert [(c.first.text, c.operator, c.second.text) for c in join.comparisons] == [
        ("l.j->'x'", "=", "r.k"),
        ("l.t", "<=", "-r.t"),
    ]


def test_parameters_go_along() -> None:
    join = only("SELECT ? FROM l ASOF JOIN (SELECT ? AS k, 1 AS t) r ON ? = r.k AND l.t >= r.t")
    assert "$2" in join.right.text
    assert join.comparisons[0].first.text == "$3"


def test_those_within_a_right_side_come_before_it() -> None:
    found = query(
        "SELECT 1 FROM a ASOF JOIN (SELECT * FROM b ASOF JOIN c ON b.t > c.t) d ON a.t > d.t ASOF JOIN e ON a.t > e.t"
    )
    assert [join.relation for join in found.asofs] == ["__asof_2", "__asof_1", "__asof_3"]
    assert found.body.text.count("__asof_2") == 0
    assert found.asofs[1].right.text == '(SELECT * FROM b  JOIN "__asof_2" AS "c" ON "__asof_2_on") d'
    assert '"__asof_1_on"' in found.asofs[2].left.text


def test_the_queries_of_with_that_are_in_force_there_go_along() -> None:
    text = (
        "WITH a AS (SELECT 1), r AS (SELECT 2) SELECT * FROM (WITH r AS (SELECT 3), q AS (SELECT * FROM l ASOF JOIN r "
        "ON l.t > r.t), s AS (SELECT 4) SELECT * FROM q)"
    )
    assert only(text).context.text == "WITH a AS (SELECT 1), r AS (SELECT 3)\n"


def test_subscribes_on_both_sides_are_relations() -> None:
    found = query("SELECT 1 FROM subscribe('a') ASOF JOIN subscribe('b', until => 1) ON subscribe.t >= x.t")
    (join,) = found.asofs
    assert (
        found.body.text == 'SELECT 1 FROM "__subscribe_1" AS subscribe  JOIN "__asof_1" AS "subscribe" ON "__asof_1_on"'
    )
    assert join.right.text == '"__subscribe_2" AS subscribe'
    assert join.subscribe == (14, "subscribe")


def test_names_that_the_statement_has_are_not_taken() -> None:
    assert only('SELECT "__asof_1" FROM l ASOF JOIN r ON l.t > r.t').relation == "__asof_1001"


def test_statements_around_it_have_it() -> None:
    insert = one("INSERT INTO t SELECT * FROM l ASOF JOIN r ON l.t > r.t RETURNING a")
    assert isinstance(insert, Insert) and insert.source is not None
    assert len(insert.source.asofs) == 1
    explained = one("EXPLAIN SELECT * FROM l ASOF JOIN r ON l.t > r.t")
    assert isinstance(explained, Explain) and isinstance(explained.statement, Query)
