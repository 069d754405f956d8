"""Queries over the sample, of any shape that the language has, for hypothesis to draw."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["Kind", "queries"]

Kind = str
_COLUMNS: dict[Kind, list[str]] = {
    "int": ["id", "k", "big"],
    "float": ["f"],
    "decimal": ["d"],
    "text": ["t", '"Mixed Case"'],
    "date": ["dt"],
    "time": ["ts"],
    "bool": ["b"],
    "bytes": ["by"],
}
_LITERALS: dict[Kind, list[str]] = {
    "int": ["0", "1", "-1", "2", "7", "2147483647", "-2147483648", "9007199254740993", "9223372036854775807"],
    "float": ["CAST('0' AS DOUBLE)", "CAST('-0.0' AS DOUBLE)", "CAST('1.5' AS DOUBLE)", "CAST('NaN' AS DOUBLE)",
              "CAST('inf' AS DOUBLE)", "CAST('0.1' AS DOUBLE)"],
    "decimal": ["1.10", "0.00", "-0.01", "2.5", "99999999.99"],
    "text": ["''", "'a'", "'A'", "'aa'", "'é'", "'ß'", "'it''s'", "'a\\b'", "' a'", "'日本'"],
    "date": ["DATE '1970-01-01'", "DATE '2000-02-29'", "DATE '9999-12-31'", "DATE '0001-01-01'"],
    "time": ["TIMESTAMP '1970-01-01 00:00:00.000001'", "TIMESTAMP '1999-12-31 23:59:59.999999'"],
    "bool": ["TRUE", "FALSE"],
    "bytes": ["X''", "X'61'", "X'FF00'", "X'00'"],
}  # fmt: skip
_PATTERNS = ["'a%'", "'%a'", "'%a%'", "'_'", "'a\\_b'", "'100\\%'", "'%'", "''", "'x*y'", "'[q]'", "'A%'", "'%\\\\%'"]
_KINDS = sorted(_COLUMNS)
_COMPARED = ["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class _Scope:
    """Aliases whose columns may be named."""

    aliases: tuple[str, ...]


def _column(draw: st.DrawFn, scope: _Scope, kind: Kind) -> str:
    return f"{draw(st.sampled_from(scope.aliases))}.{draw(st.sampled_from(_COLUMNS[kind]))}"


def _value(draw: st.DrawFn, scope: _Scope, kind: Kind, depth: int) -> str:
    """An expression of a kind."""
    choice = draw(st.integers(0, 9 if depth else 4))
    if choice <= 3:
        return _column(draw, scope, kind)
    if choice == 4:
        return draw(st.sampled_from([*_LITERALS[kind], "NULL"]))
    if choice == 5:
        other = _value(draw, scope, kind, depth - 1)
        return f"coalesce({_column(draw, scope, kind)}, {other})"
    if choice == 6:
        yes, no = _value(draw, scope, kind, depth - 1), _value(draw, scope, kind, depth - 1)
        return f"CASE WHEN {_condition(draw, scope, depth - 1)} THEN {yes} ELSE {no} END"
    if choice == 7 and kind == "text":
        start = draw(st.integers(0, 3))
        length = draw(st.sampled_from(["", ", 1", ", 2"]))
        return f"substr({_column(draw, scope, kind)}, {start}{length})"
    if choice == 7 and kind == "int":
        part = draw(st.sampled_from(["year", "month", "day"]))
        source = draw(st.sampled_from(["k % 3", "k / 2", f"extract({part} FROM dt)", f"extract({part} FROM ts)"]))
        alias = draw(st.sampled_from(scope.aliases))
        for name in ("k ", "dt)", "ts)"):
            source = source.replace(name, f"{alias}.{name}", 1)
        return source
    if choice == 8 and kind == "decimal":
        return f"{_column(draw, scope, kind)} {draw(st.sampled_from('+-*'))} {draw(st.sampled_from(['d', '1.10', '2']))}".replace(
            " d", f" {draw(st.sampled_from(scope.aliases))}.d"
        )
    if choice == 8 and kind == "int":
        return f"CAST({_column(draw, scope, 'int')} AS BIGINT)"
    if choice == 9 and kind == "text":
        return draw(st.sampled_from(["upper", "lower", "trim"])) + f"({_column(draw, scope, kind)})"
    return _column(draw, scope, kind)


def _condition(draw: st.DrawFn, scope: _Scope, depth: int) -> str:
    choice = draw(st.integers(0, 11 if depth else 6))
    kind = draw(st.sampled_from(_KINDS))
    if choice <= 3:
        left, right = _value(draw, scope, kind, 0), _value(draw, scope, kind, max(0, depth - 1))
        return f"{left} {draw(st.sampled_from(_COMPARED))} {right}"
    if choice == 4:
        return f"{_column(draw, scope, kind)} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    if choice == 5:
        negated = draw(st.sampled_from(["", "NOT "]))
        return f"{_column(draw, scope, 'text')} {negated}LIKE {draw(st.sampled_from(_PATTERNS))}"
    if choice == 6:
        options = draw(st.lists(st.sampled_from([*_LITERALS[kind], "NULL"]), min_size=1, max_size=6))
        negated = draw(st.sampled_from(["", "NOT "]))
        return f"{_column(draw, scope, kind)} {negated}IN ({', '.join(options)})"
    if choice == 7:
        low, high = draw(st.sampled_from(_LITERALS[kind])), draw(st.sampled_from(_LITERALS[kind]))
        return f"{_column(draw, scope, kind)} BETWEEN {low} AND {high}"
    if choice == 8:
        return f"NOT ({_condition(draw, scope, depth - 1)})"
    if choice == 9:
        return f"{_column(draw, scope, 'bool')} IS {draw(st.sampled_from(['TRUE', 'NOT TRUE', 'FALSE', 'NOT FALSE']))}"
    word = draw(st.sampled_from(["AND", "OR"]))
    return f"({_condition(draw, scope, depth - 1)} {word} {_condition(draw, scope, depth - 1)})"


def _measure(draw: st.DrawFn, scope: _Scope) -> str:
    choice = draw(st.integers(0, 6))
    kind = draw(st.sampled_from(_KINDS))
    if choice == 0:
        return "count(*)"
    if choice == 1:
        return f"count({draw(st.sampled_from(['', 'DISTINCT ']))}{_column(draw, scope, kind)})"
    if choice == 2:
        extreme = draw(st.sampled_from([each for each in _KINDS if each not in ("bool", "bytes", "float")]))
        return f"{draw(st.sampled_from(['min', 'max']))}({_value(draw, scope, extreme, 1)})"
    if choice == 3:
        return f"sum({draw(st.sampled_from(scope.aliases))}.k)"
    if choice == 4:
        return f"{draw(st.sampled_from(['sum', 'avg']))}({_column(draw, scope, 'decimal')})"
    if choice == 5:
        return f"avg({draw(st.sampled_from(scope.aliases))}.k)"
    return f"count(*) FILTER (WHERE {_condition(draw, scope, 1)})"


def _tables(draw: st.DrawFn, places: list[str]) -> tuple[str, _Scope]:
    """A FROM clause of one to three tables."""
    count = draw(st.sampled_from([1, 1, 2, 2, 3]))
    names = [f"{draw(st.sampled_from(places))}.{draw(st.sampled_from(['one', 'two']))}" for _ in range(count)]
    text = f"{names[0]} AS a0"
    for place, name in enumerate(names[1:], 1):
        scope = _Scope(tuple(f"a{other}" for other in range(place)))
        kind = draw(st.sampled_from(["int", "int", "text", "date", "decimal", "bool"]))
        keys = "id" if kind == "int" and draw(st.booleans()) else draw(st.sampled_from(_COLUMNS[kind]))
        equal = draw(st.sampled_from(["=", "=", "=", "=", "IS NOT DISTINCT FROM"]))
        condition = f"({draw(st.sampled_from(scope.aliases))}.{keys} {equal} a{place}.{keys})"
        if draw(st.booleans()):
            condition += f" AND {_condition(draw, _Scope((*scope.aliases, f'a{place}')), 1)}"
        join = draw(st.sampled_from(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
        text += f" {join} {name} AS a{place} ON {condition}"
    return text, _Scope(tuple(f"a{place}" for place in range(count)))


def _set_operation(draw: st.DrawFn, places: list[str]) -> str:
    """Rows of two tables compared, NULLs too, up to three parts."""
    kinds = draw(st.lists(st.sampled_from([each for each in _KINDS if each != "float"]), min_size=1, max_size=3))
    scope = _Scope(("s",))

    def part() -> str:
        columns = ", ".join(f"{_column(draw, scope, kind)} AS x{place}" for place, kind in enumerate(kinds))
        table = f"{draw(st.sampled_from(places))}.{draw(st.sampled_from(['one', 'two']))}"
        where = f" WHERE {_condition(draw, scope, 1)}" if draw(st.booleans()) else ""
        return f"SELECT {columns} FROM {table} AS s{where}"

    text = part()
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        word = draw(
            st.sampled_from(["INTERSECT", "EXCEPT", "INTERSECT", "EXCEPT", "UNION", "INTERSECT ALL", "EXCEPT ALL"])
        )
        text = f"({text}) {word} ({part()})"
    if draw(st.integers(0, 2)) == 0:
        return f"SELECT x0, count(*) AS n FROM ({text}) AS u GROUP BY x0"
    return text


def _window(draw: st.DrawFn, scope: _Scope) -> str:
    """A function over a window whose rows have an order of their own, or to which order does not matter."""
    kinds = [each for each in _KINDS if each != "float"]
    partition = f"PARTITION BY {_column(draw, scope, draw(st.sampled_from(kinds)))} " if draw(st.booleans()) else ""
    direction = draw(st.sampled_from(["ASC", "DESC", "ASC NULLS FIRST", "DESC NULLS LAST"]))
    first = f"{_column(draw, scope, draw(st.sampled_from(kinds)))} {direction}"
    unique = ", ".join([first, *(f"{alias}.id" for alias in scope.aliases)])
    kind = draw(st.sampled_from([each for each in kinds if each not in ("bool", "bytes")]))
    measure = draw(st.sampled_from([
        "count(*)", f"count({_column(draw, scope, kind)})", f"min({_column(draw, scope, kind)})", f"max({_column(draw, scope, kind)})",
        f"sum({draw(st.sampled_from(scope.aliases))}.k)", f"sum({_column(draw, scope, 'decimal')})",
    ]))  # fmt: skip
    choice = draw(st.integers(0, 5))
    if choice == 0:
        return f"row_number() OVER ({partition}ORDER BY {unique})"
    if choice == 1:
        return f"{draw(st.sampled_from(['rank', 'dense_rank']))}() OVER ({partition}ORDER BY {first})"
    if choice == 2:
        distance = draw(st.sampled_from(["", ", 2", ", 0"]))
        name = draw(st.sampled_from(["lag", "lead"]))
        return f"{name}({_column(draw, scope, kind)}{distance}) OVER ({partition}ORDER BY {unique})"
    if choice == 3:
        return f"{measure} OVER ({partition or 'ORDER BY ' + first})"
    if choice == 4:
        return f"{measure} OVER ({partition}ORDER BY {first})"
    low = draw(st.sampled_from(["UNBOUNDED PRECEDING", "2 PRECEDING", "CURRENT ROW"]))
    high = draw(st.sampled_from(["CURRENT ROW", "1 FOLLOWING", "UNBOUNDED FOLLOWING"]))
    return f"{measure} OVER ({partition}ORDER BY {unique} ROWS BETWEEN {low} AND {high})"


@st.composite
def queries(draw: st.DrawFn, places: tuple[str, ...]) -> str:
    """A query over tables of the schemas ``places``."""
    if draw(st.integers(0, 9)) == 0:
        return _set_operation(draw, list(places))
    source, scope = _tables(draw, list(places))
    conditions = [_condition(draw, scope, 2) for _ in range(draw(st.integers(0, 2)))]
    if draw(st.integers(0, 3)) == 0:
        place, table = draw(st.sampled_from(places)), draw(st.sampled_from(["one", "two"]))
        kind = draw(st.sampled_from(["int", "text", "date"]))
        outer, inner = _column(draw, scope, kind), draw(st.sampled_from(_COLUMNS[kind]))
        word = draw(st.sampled_from(["IN", "NOT IN", "EXISTS", "NOT EXISTS"]))
        within = _condition(draw, _Scope(("s",)), 1)
        if word.endswith("IN"):
            conditions.append(f"{outer} {word} (SELECT s.{inner} FROM {place}.{table} AS s WHERE {within})")
        else:
            conditions.append(f"{word} (SELECT 1 FROM {place}.{table} AS s WHERE s.{inner} = {outer} AND {within})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if draw(st.integers(0, 2)) == 0:
        kinds = draw(st.lists(st.sampled_from([each for each in _KINDS if each != "float"]), max_size=2))
        keys = [_value(draw, scope, kind, 1) for kind in kinds]
        keys = [key for key in keys if "." in key and "NULL" not in key]
        measures = [_measure(draw, scope) for _ in range(draw(st.integers(1, 3)))]
        columns = ", ".join(f"{text} AS x{place}" for place, text in enumerate([*keys, *measures]))
        group = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
        having = " HAVING count(*) > 1" if draw(st.booleans()) else ""
        return f"SELECT {columns} FROM {source}{where}{group}{having}"
    if draw(st.integers(0, 5)) == 0:
        windows = [_window(draw, scope) for _ in range(draw(st.integers(1, 2)))]
        columns = ", ".join(f"{text} AS w{place}" for place, text in enumerate(windows))
        ids = ", ".join(f"{alias}.id AS i{place}" for place, alias in enumerate(scope.aliases))
        text = f"SELECT {ids}, {columns} FROM {source}{where}"
        chosen = draw(st.sampled_from(["", " WHERE w0 = 1", " WHERE w0 IS NULL", " WHERE i0 > 3"]))
        is_number = windows[0].startswith(("row_number", "rank", "dense_rank", "count"))
        return f"SELECT * FROM ({text}) AS q{chosen}" if is_number or " = 1" not in chosen else text
    kinds = draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=4))
    columns = ", ".join(f"{_value(draw, scope, kind, 1)} AS x{place}" for place, kind in enumerate(kinds))
    distinct = "DISTINCT " if draw(st.integers(0, 4)) == 0 and "float" not in kinds else ""
    if not distinct and len(scope.aliases) == 1 and draw(st.integers(0, 3)) == 0:
        first = _column(draw, scope, draw(st.sampled_from(_KINDS)))
        order = draw(st.sampled_from(["ASC", "DESC", "ASC NULLS FIRST", "DESC NULLS LAST"]))
        limit = draw(st.integers(0, 20))
        offset = draw(st.sampled_from(["", " OFFSET 3"]))
        return f"SELECT {columns} FROM {source}{where} ORDER BY {first} {order}, a0.id LIMIT {limit}{offset}"
    return f"SELECT {distinct}{columns} FROM {source}{where}"
