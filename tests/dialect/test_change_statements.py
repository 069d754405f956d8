"""UPDATE, DELETE, MERGE, and what INSERT has for tables: aliases, DEFAULT, ON CONFLICT."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import Assignment, Delete, Fragment, Insert, Merge, MergeClause, OnConflict, Update
from jammi_sql.errors import Error, FeatureNotSupported, ProgrammingError, StatementSyntaxError, UndefinedColumn

from .pairs import one, only, plain


def update(text: str) -> Update:
    statement = one(text)
    assert isinstance(statement, Update)
    return statement


def delete(text: str) -> Delete:
    statement = one(text)
    assert isinstance(statement, Delete)
    return statement


def merge(text: str) -> Merge:
    statement = one(text)
    assert isinstance(statement, Merge)
    return statement


def insert(text: str) -> Insert:
    statement = one(text)
    assert isinstance(statement, Insert)
    return statement


def texts(*fragments: Fragment | None) -> tuple[str | None, ...]:
    return tuple(fragment and fragment.text for fragment in fragments)


def assigned(assignments: tuple[Assignment, ...]) -> list[tuple[str, str | None]]:
    return [(each.column, each.value and each.value.text) for each in assignments]


# --- UPDATE ---


@pytest.mark.parametrize(
    ("text", "alias", "assignments", "source", "condition", "returning"),
    [
        ("UPDATE t SET a = 1", None, [("a", "1")], None, None, None),
        ("UPDATE t AS x SET x.a = 1", "x", [("a", "1")], None, None, None),
        ("UPDATE t \"X\" SET \"X\".a = 1", "X", [("a", "1")], None, None, None),
        ("UPDATE s.t SET t.a = 1, s.t.b = 2", None, [("a", "1"), ("b", "2")], None, None, None),
        ("UPDATE t SET a = DEFAULT, b = default", None, [("a", None), ("b", None)], None, None, None),
        ("UPDATE t SET a = \"default\"", None, [("a", '"default"')], None, None, None),
        ("UPDATE t SET (a, b) = (1, DEFAULT)", None, [("a", "1"), ("b", None)], None, None, None),
        ("UPDATE t SET (a, b, c) = ROW(f(1, 2), (2), [3])", None, [("a", "f(1, 2)"), ("b", "(2)"), ("c", "[3]")], None, None, None),
        ("UPDATE t SET (a) = (values), b = row(1)", None, [("a", "values"), ("b", "row(1)")], None, None, None),
        ("UPDATE t SET a = 1 FROM u WHERE b RETURNING c", None, [("a", "1")], "u", "b", "c"),
        ("UPDATE t SET a = 1 FROM u, v JOIN w USING (a) ON b WHERE c", None, [("a", "1")], "u, v JOIN w USING (a) ON b", "c", None),
        ("UPDATE t SET a = 1 WHERE b RETURNING *", None, [("a", "1")], None, "b", "*"),
        ("UPDATE t SET a = 1 RETURNING {'k': a}, b", None, [("a", "1")], None, None, "{'k': a}, b"),
        ("UPDATE t SET a = extract(year FROM b), c = d FROM u", None, [("a", "extract(year FROM b)"), ("c", "d")], "u", None, None),
        ("UPDATE t SET a = b IS NOT DISTINCT FROM c FROM u", None, [("a", "b IS NOT DISTINCT FROM c")], "u", None, None),
        ("UPDATE t SET a = CASE WHEN b THEN 1 END WHERE CASE WHEN c THEN d END", None, [("a", "CASE WHEN b THEN 1 END")], None, "CASE WHEN c THEN d END", None),
        ("UPDATE t SET a = from, set = where + 1", None, [("a", "from"), ("set", "where + 1")], None, None, None),
        ("UPDATE t SET a = t.where WHERE t.returning RETURNING set", None, [("a", "t.where")], None, "t.returning", "set"),
        ("UPDATE t SET a = (SELECT b FROM u WHERE c) WHERE EXISTS (SELECT 1 FROM v)", None, [("a", "(SELECT b FROM u WHERE c)")], None, "EXISTS (SELECT 1 FROM v)", None),
        ("UPDATE t SET a = 1 FROM u AS where WHERE b", None, [("a", "1")], "u AS where", "b", None),
        ("UPDATE t SET a = 1 WHERE returning = 1", None, [("a", "1")], None, "returning = 1", None),
    ],
)  # fmt: skip
def test_update_has_its_clauses(
    text: str,
    alias: str | None,
    assignments: list[tuple[str, str | None]],
    source: str | None,
    condition: str | None,
    returning: str | None,
) -> None:
    statement = update(text)
    assert statement.alias == alias
    assert assigned(statement.assignments) == assignments
    assert texts(statement.source, statement.condition, statement.returning) == (source, condition, returning)
    assert statement.body.body == plain(text, 0)
    for fragment in (statement.source, statement.condition, statement.returning):
        assert fragment is None or text[fragment.origin(0) :].startswith(fragment.text)


def test_the_place_of_an_assignment_is_that_of_its_column() -> None:
    statement = update("UPDATE t SET a = 1, t.b = 2, (c, d) = (3, 4)")
    assert [each.position for each in statement.assignments] == [13, 20, 30, 33]
    assert statement.assignments[3].value == plain("4", 42)


def test_all_parts_have_placeholders_and_the_relations_of_the_body() -> None:
    parsed = only(
        "UPDATE t SET a = ?, b = (SELECT max(c) FROM subscribe(?, until => 1)) FROM u, subscribe('v', until => ?) WHERE c = ? RETURNING ?"
    )
    statement = parsed.statement
    assert isinstance(statement, Update)
    assert parsed.parameters == ("1", "2", "3", "4", "5")
    assert assigned(statement.assignments) == [("a", "$1"), ("b", '(SELECT max(c) FROM "__subscribe_1" AS subscribe)')]
    assert texts(statement.source, statement.condition, statement.returning) == (
        'u, "__subscribe_2" AS subscribe', "c = $4", "$5",
    )  # fmt: skip
    assert [call.relation for call in statement.body.subscribes] == ["__subscribe_1", "__subscribe_2"]
    assert "subscribe(" not in statement.body.body.text


# --- DELETE ---


@pytest.mark.parametrize(
    ("text", "alias", "source", "condition", "returning"),
    [
        ("DELETE FROM t", None, None, None, None),
        ("DELETE FROM t AS x USING u, v WHERE a RETURNING b", "x", "u, v", "a", "b"),
        ("DELETE FROM t x WHERE a", "x", None, "a", None),
        ("DELETE FROM t USING u JOIN v USING (a) WHERE b", None, "u JOIN v USING (a)", "b", None),
        ("DELETE FROM t RETURNING (a), b", None, None, None, "(a), b"),
        ("DELETE FROM t USING subscribe('u', until => 1) WHERE a", None, '"__subscribe_1" AS subscribe', "a", None),
    ],
)
def test_delete_has_its_clauses(
    text: str, alias: str | None, source: str | None, condition: str | None, returning: str | None
) -> None:
    statement = delete(text)
    assert statement.alias == alias
    assert texts(statement.source, statement.condition, statement.returning) == (source, condition, returning)


# --- MERGE ---


def test_merge_has_its_clauses() -> None:
    text = (
        "MERGE INTO s.t AS x USING u AS y (a, b) ON x.a = y.a AND CASE WHEN c THEN d END "
        "WHEN MATCHED AND CASE WHEN e THEN f END = 1 THEN UPDATE SET x.a = CASE WHEN g THEN 1 END, (b, c) = (?, DEFAULT) "
        "WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED BY TARGET AND h THEN INSERT (a, b) VALUES (f(1, (2)), DEFAULT) "
        "WHEN NOT MATCHED THEN INSERT DEFAULT VALUES "
        "WHEN NOT MATCHED BY SOURCE AND i THEN UPDATE SET a = 1 "
        "WHEN NOT MATCHED BY SOURCE THEN DO NOTHING "
        "RETURNING x.a"
    )
    statement = merge(text)
    assert (statement.target.parts, statement.target_alias) == (("s", "t"), "x")
    assert (statement.source, statement.source_alias, statement.source_columns) == (plain("u", 26), "y", ("a", "b"))
    assert statement.on == plain("x.a = y.a AND CASE WHEN c THEN d END", 43)
    assert statement.returning == plain("x.a", len(text) - 3)
    assert [each.position for each in statement.clauses] == [
        place for place in range(len(text)) if text.startswith(("WHEN MATCHED", "WHEN NOT MATCHED"), place)
    ]
    seen = [
        (each.kind, *texts(each.condition), each.action, assigned(each.assignments), each.columns, texts(*each.values))
        for each in statement.clauses
    ]
    assert seen == [
        ("matched", "CASE WHEN e THEN f END = 1", "update", [("a", "CASE WHEN g THEN 1 END"), ("b", "$1"), ("c", None)], None, ()),
        ("matched", None, "delete", [], None, ()),
        ("not matched", "h", "insert", [], ("a", "b"), ("f(1, (2))", None)),
        ("not matched", None, "insert", [], None, ()),
        ("not matched by source", "i", "update", [("a", "1")], None, ()),
        ("not matched by source", None, "nothing", [], None, ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "text", "alias", "columns"),
    [
        ("u", "u", None, None),
        ("a.b.\"C\" d", "a.b.\"C\"", "d", None),
        ("(SELECT 1) AS s", "(SELECT 1)", "s", None),
        ("((SELECT 1) UNION (SELECT 2)) s (a)", "((SELECT 1) UNION (SELECT 2))", "s", ("a",)),
        ("(VALUES (1, 2), (3, 4)) AS s (a, b)", "(VALUES (1, 2), (3, 4))", "s", ("a", "b")),
        ("range(5) AS r", "range(5)", "r", None),
        ("subscribe('x', until => 1)", '"__subscribe_1"', "subscribe", None),
        ("subscribe('x', until => 1) y", '"__subscribe_1"', "y", None),
        ("(SELECT * FROM subscribe('x')) y", '(SELECT * FROM "__subscribe_1" AS subscribe)', "y", None),
    ],
)  # fmt: skip
def test_the_source_of_merge_is_without_its_alias(
    source: str, text: str, alias: str | None, columns: tuple[str, ...] | None
) -> None:
    statement = merge(f"MERGE INTO t USING {source} ON a WHEN NOT MATCHED THEN INSERT VALUES (1, (2), (3))")
    assert (statement.source.text, statement.source_alias, statement.source_columns) == (text, alias, columns)
    assert statement.source.origin(0) == 19
    assert statement.target_alias is None
    (clause,) = statement.clauses
    assert isinstance(clause, MergeClause)
    assert texts(*clause.values) == ("1", "(2)", "(3)")


# --- INSERT ---


@pytest.mark.parametrize(
    ("text", "alias", "columns", "positions", "source"),
    [
        ("INSERT INTO t VALUES (1)", None, None, (), "VALUES (1)"),
        ("INSERT INTO t AS x (a, \"B\") VALUES (1, 2)", "x", ("a", "B"), (20, 23), "VALUES (1, 2)"),
        ("INSERT INTO t (a) SELECT 1 -- c", None, ("a",), (15,), "SELECT 1 -- c"),
        ("INSERT INTO t (values) VALUES (1)", None, ("values",), (15,), "VALUES (1)"),
        ("INSERT INTO t (select, a) VALUES (1, 2)", None, ("select", "a"), (15, 23), "VALUES (1, 2)"),
        ("INSERT INTO t (VALUES (1))", None, None, (), "(VALUES (1))"),
        ("INSERT INTO t ((SELECT 1) UNION (SELECT 2))", None, None, (), "((SELECT 1) UNION (SELECT 2))"),
        ("INSERT INTO t (a) (SELECT 1) RETURNING a", None, ("a",), (15,), "(SELECT 1) "),
        ("INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x", None, None, (), "WITH x AS (SELECT 1) SELECT * FROM x"),
    ],
)  # fmt: skip
def test_insert_has_its_columns_apart_from_its_source(
    text: str, alias: str | None, columns: tuple[str, ...] | None, positions: tuple[int, ...], source: str
) -> None:
    statement = insert(text)
    assert (statement.alias, statement.columns, statement.column_positions) == (alias, columns, positions)
    assert statement.source is not None
    assert statement.source.body == plain(source, text.index(source))
    assert not statement.default_values


def test_insert_of_default_values_has_no_source() -> None:
    statement = insert("INSERT INTO t DEFAULT VALUES ON CONFLICT DO NOTHING RETURNING *")
    assert statement.default_values
    assert statement.source is None
    assert statement.columns is None
    assert statement.on_conflict is not None
    assert texts(statement.returning) == ("*",)


def test_the_places_in_the_source_are_those_of_its_parameters_and_defaults() -> None:
    statement = insert(
        "INSERT INTO t (a, b) VALUES (?, DEFAULT), (1, 2), (Default, ?), (f(1, default), (2), (3), DEFAULT), (DEFAULT + 1, t.default)"
    )
    assert statement.source is not None
    text = statement.source.body.text
    assert [(text[start:end], key) for start, end, key in statement.source_parameters] == [("$1", "1"), ("$2", "2")]
    assert [(text[start:end], column) for start, end, column in statement.defaults] == [
        ("DEFAULT", 1), ("Default", 0), ("DEFAULT", 3),
    ]  # fmt: skip
    body = statement.body.body.text
    assert [body[start:end] for start, end, _ in statement.parameters] == ["$1", "$2"]
    assert insert("INSERT INTO t SELECT default FROM u").defaults == ()
    assert insert("INSERT INTO t VALUES (1) UNION SELECT (DEFAULT)").defaults == ()


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("ON CONFLICT DO NOTHING", OnConflict(None, "nothing", (), None, 25)),
        ("ON CONFLICT (a, \"B\") DO NOTHING", OnConflict(("a", "B"), "nothing", (), None, 25)),
        (
            "ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = DEFAULT, t.d = t.d + 1 WHERE t.b < excluded.b",
            OnConflict(
                ("a",), "update",
                (
                    Assignment("b", plain("excluded.b", 59), 55),
                    Assignment("c", None, 71),
                    Assignment("d", plain("t.d + 1", 90), 84),
                ),
                plain("t.b < excluded.b", 104), 25,
            ),
        ),
    ],
)  # fmt: skip
def test_insert_says_what_to_do_on_conflict(clause: str, expected: OnConflict) -> None:
    for returning in ("", " RETURNING a"):
        statement = insert(f"INSERT INTO t VALUES (?) {clause}{returning}")
        assert statement.on_conflict == expected
        assert statement.body.body.text == "VALUES ($1) "
        assert (statement.returning is not None) == bool(returning)
        assert statement.row is not None
        assert [value.text for value, _ in statement.row.values] == ["$1"]


@pytest.mark.parametrize(
    ("source", "has_conflict"),
    [
        ("SELECT a FROM u JOIN v ON conflict", False),
        ("SELECT a FROM u JOIN v ON conflict = 1", False),
        ("SELECT a FROM u JOIN v ON conflict(a) WHERE b", False),
        ("SELECT a FROM u JOIN v ON u.a = v.a ON CONFLICT (a) DO NOTHING", True),
        ("SELECT a FROM u JOIN v ON conflict WHERE b ON CONFLICT DO NOTHING", True),
        ("(SELECT a FROM u) ON CONFLICT (a) DO NOTHING", True),
        ("SELECT a FROM u WHERE b ON CONFLICT (a) DO UPDATE SET c = 1", True),
    ],
)
def test_a_join_on_a_column_called_conflict_is_none(source: str, has_conflict: bool) -> None:
    if source.endswith("ON conflict"):
        source += " AND a"
    statement = insert(f"INSERT INTO t {source}")
    assert (statement.on_conflict is not None) == has_conflict
    assert has_conflict or statement.body.body.text == source


def test_the_parts_of_insert_share_the_relations_of_subscribe() -> None:
    statement = insert(
        "INSERT INTO t (a) SELECT * FROM subscribe('x', until => ?) ON CONFLICT (a) DO UPDATE SET a = "
        "(SELECT b FROM subscribe('y', until => ?)) RETURNING (SELECT c FROM subscribe('z', until => ?))"
    )
    assert statement.source is not None
    assert statement.on_conflict is not None
    assert statement.source.body.text == 'SELECT * FROM "__subscribe_1" AS subscribe '
    assert assigned(statement.on_conflict.assignments) == [("a", '(SELECT b FROM "__subscribe_2" AS subscribe)')]
    assert texts(statement.returning) == ('(SELECT c FROM "__subscribe_3" AS subscribe)',)
    for query in (statement.body, statement.source):
        assert [call.relation for call in query.subscribes] == ["__subscribe_1", "__subscribe_2", "__subscribe_3"]
    assert insert("INSERT INTO t VALUES ((SELECT max(a) FROM subscribe('u')))").row is None


# --- errors ---


@pytest.mark.parametrize(
    ("text", "position", "error", "sqlstate"),
    [
        ("UPDATE t SET a = 1, A = 2", 20, ProgrammingError, "42701"),
        ("UPDATE t SET a = 1, (b, a) = (2, 3)", 24, ProgrammingError, "42701"),
        ("UPDATE t SET u.a = 1", 13, UndefinedColumn, "42703"),
        ("UPDATE t AS x SET t.a = 1", 18, UndefinedColumn, "42703"),
        ("UPDATE t SET (a, b) = (SELECT 1, 2)", 22, FeatureNotSupported, "0A000"),
        ("UPDATE t SET (a, b) = ROW((SELECT 1))", 25, FeatureNotSupported, "0A000"),
        ("UPDATE t SET (a, b) = (1)", 22, StatementSyntaxError, "42601"),
        ("INSERT INTO t (a, a) VALUES (1, 2)", 18, ProgrammingError, "42701"),
        ("INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT c DO NOTHING", 37, FeatureNotSupported, "0A000"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING", 41, FeatureNotSupported, "0A000"),
        ("INSERT INTO t SELECT 1 ON CONFLICT (a) WHERE b DO NOTHING", 39, FeatureNotSupported, "0A000"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (lower(a)) DO NOTHING", 38, FeatureNotSupported, "0A000"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a, a) DO NOTHING", 41, ProgrammingError, "42701"),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE WHEN MATCHED AND b THEN DELETE", 51, StatementSyntaxError, "42601"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED THEN INSERT (a) VALUES (1, 2)", 66, StatementSyntaxError, "42601"),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN UPDATE SET u.a = 1", 55, UndefinedColumn, "42703"),
    ],
)  # fmt: skip
def test_what_a_change_cannot_do_is_refused_with_a_hint(
    text: str, position: int, error: type[Error], sqlstate: str
) -> None:
    with pytest.raises(error) as caught:
        one(text)
    assert (caught.value.position, caught.value.sqlstate) == (position, sqlstate)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("UPDATE t", 8, "SET"),
        ("UPDATE t JOIN u SET a = 1", 9, "SET"),
        ("UPDATE t SET", 12, "a column's name"),
        ("UPDATE t SET a", 14, "="),
        ("UPDATE t SET a =", 16, "a value"),
        ("UPDATE t SET a = WHERE b", 17, "a value"),
        ("UPDATE t SET a = 1,", 19, "a column's name"),
        ("UPDATE t SET (a, b) = 1", 22, "("),
        ("UPDATE t SET (a, b) = (1, )", 26, "a value"),
        ("UPDATE t SET (a, b) = (1, 2", 27, ")"),
        ("UPDATE t SET (a, b) = (1, 2) + 3", 29, "FROM, WHERE"),
        ("UPDATE t SET a = 1 LIMIT 5", 19, "a comma, FROM, WHERE, RETURNING or the end"),
        ("UPDATE t SET a = 1 FROM", 23, "a relation"),
        ("UPDATE t SET a = 1 FROM WHERE b", 24, "a relation"),
        ("UPDATE t SET a = 1 FROM u GROUP BY a", 26, "WHERE, RETURNING"),
        ("UPDATE t SET a = 1 WHERE", 24, "a condition"),
        ("UPDATE t SET a = 1 WHERE b, c", 26, "RETURNING or the end"),
        ("UPDATE t SET a = 1 WHERE (b", 27, ")"),
        ("UPDATE t SET a = 1 WHERE b)", 26, "RETURNING or the end"),
        ("UPDATE t SET a = CASE WHEN b", 28, "END"),
        ("UPDATE t SET a = 1 RETURNING", 28, "columns after RETURNING"),
        ("DELETE FROM t LIMIT 5", 14, "USING, WHERE"),
        ("DELETE FROM t, u WHERE a", 13, "USING, WHERE"),
        ("DELETE FROM t WHERE a ORDER BY b", 22, "RETURNING or the end"),
        ("DELETE FROM t AS", 16, "an alias"),
        ("DELETE FROM t USING u WHERE", 27, "a condition"),
        ("MERGE INTO t", 12, "USING"),
        ("MERGE INTO t USING", 18, "a relation"),
        ("MERGE INTO t USING (SELECT 1", 28, ")"),
        ("MERGE INTO t USING u", 20, "ON"),
        ("MERGE INTO t USING u ON", 23, "a condition"),
        ("MERGE INTO t USING u ON a", 25, "WHEN"),
        ("MERGE INTO t USING u ON a WHEN", 30, "MATCHED"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED BY", 45, "SOURCE or TARGET"),
        ("MERGE INTO t USING u ON a WHEN MATCHED DELETE", 39, "THEN"),
        ("MERGE INTO t USING u ON a WHEN MATCHED AND THEN DELETE", 43, "a condition"),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN", 43, "UPDATE SET, DELETE or DO NOTHING"),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN INSERT VALUES (1)", 44, "UPDATE SET, DELETE"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED THEN DELETE", 48, "INSERT or DO NOTHING"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED THEN INSERT (a) SELECT 1", 59, "VALUES"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED THEN INSERT VALUES ()", 63, "a value"),
        ("MERGE INTO t USING u ON a WHEN NOT MATCHED THEN INSERT VALUES (1), (2)", 65, "WHEN, RETURNING"),
        ("MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE x", 51, "WHEN, RETURNING"),
        ("INSERT INTO t (a", 16, "a comma or )"),
        ("INSERT INTO t (a b) VALUES (1)", 17, "a comma or )"),
        ("INSERT INTO t (1) VALUES (1)", 15, "a column's name"),
        ("INSERT INTO t (a)", 17, "VALUES or a query"),
        ("INSERT INTO t (a) DEFAULT VALUES", 18, "VALUES or a query"),
        ("INSERT INTO t DEFAULT VALUES, (1)", 28, "ON CONFLICT, RETURNING"),
        ("INSERT INTO t x VALUES (1)", 14, "VALUES or a query"),
        ("INSERT INTO t VALUES (1) ON CONFLICT", 36, "DO NOTHING or DO UPDATE"),
        ("INSERT INTO t VALUES (1) ON CONFLICT a DO NOTHING", 37, "DO NOTHING or DO UPDATE"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a)", 40, "DO NOTHING or DO UPDATE"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO", 43, "NOTHING or UPDATE"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE", 50, "SET"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING x", 48, "RETURNING or the end"),
    ],
)  # fmt: skip
def test_a_malformed_change_says_what_was_expected_where(text: str, position: int, expected: str) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        one(text)
    assert expected in caught.value.message
    assert caught.value.message.startswith("expected ")
    assert caught.value.position == position
    assert (caught.value.hint or "").startswith("write ")
