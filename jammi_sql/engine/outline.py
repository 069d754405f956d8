"""What a statement is before it has values: its parameters with their types, and its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion.expr import Expr

from ..dialect import Parsed, compose, quote_identifier, spliced, statements
from ..dialect.statements import Fragment, Name
from ..errors import Error, QueryCanceled
from ..plan.direct import Addition, Placeholder, direct_delete, direct_update, rows_of
from ..plan.placeholders import placeholder_types
from .describe import READS, probing, result_schema, table_schema
from .direct import direct_outline
from .insert import target_schema
from .relations import inserted_relations
from .staging import RowsRelation

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Outline", "outline"]

_TARGET = "__target"
_OFFSETS = frozenset({"from", "until"})
Types = dict[str, pa.DataType]
_Change = statements.Insert | statements.Update | statements.Delete | statements.Merge
_CHANGES = (statements.Insert, statements.Update, statements.Delete, statements.Merge)


@dataclass(frozen=True, slots=True)
class Outline:
    """``parameters`` are the types by key, null for one that values alone will tell; ``columns`` are those of the result,
    ``None`` for a statement without rows, and, if not ``is_complete``, where they too hang on the values."""

    parameters: Mapping[str, pa.DataType]
    columns: pa.Schema | None
    is_complete: bool = True


def outline(session: Session, parsed: Parsed, known: Mapping[str, pa.DataType] | None = None) -> Outline:
    """The outline of a statement, of which nothing runs.

    What a parameter is compared with, combined with, cast to, assigned or inserted to gives it its type. ``known`` are the
    types as they were found before: those of a change are not looked for again, which would cost some milliseconds.
    """
    statement = parsed.statement
    if isinstance(statement, statements.Query) and statement.keyword == "SELECT":
        direct = direct_outline(session, statement.body.text)
        if direct is not None and direct[0].keys() == set(parsed.parameters):
            return Outline(*direct)
    if not parsed.parameters:
        return Outline({}, result_schema(session, parsed, {}))
    types: Types = {}
    columns: pa.Schema | None = None
    if isinstance(statement, statements.Query) and statement.keyword in READS:
        columns = _read_query(types, session, statement, parsed.parameters)
    elif known is not None and known.keys() == set(parsed.parameters):
        types = dict(known)
    else:
        _read(types, session, statement, parsed.parameters)
    parameters = {key: types.get(key, pa.null()) for key in parsed.parameters}
    if columns is not None:
        return Outline(parameters, columns)
    values = {key: pa.scalar(None, data_type) for key, data_type in parameters.items()}
    try:
        return Outline(parameters, result_schema(session, parsed, values))
    except Error:
        return Outline(parameters, None, is_complete=False)


def _read(found: Types, session: Session, statement: statements.Statement, keys: Sequence[str]) -> None:
    while isinstance(statement, statements.Explain):
        statement = statement.statement
    if isinstance(statement, statements.Query):
        if statement.keyword in READS:
            _read_query(found, session, statement, keys)
        return
    if _read_plain(found, session, statement):
        return
    if isinstance(statement, statements.Insert):
        _read_inserted(found, session, statement, keys)
    if isinstance(statement, _CHANGES):
        body = statement.body
        for text in _probes(statement):
            query = statements.Query("SELECT", text, body.subscribes, body.words, body.remotes, body.asofs)
            _read_query(found, session, query, keys)


def _read_plain(found: Types, session: Session, statement: statements.Statement) -> bool:
    """Of a statement so plain that it needs no planner; whether it is one."""
    pairs: list[tuple[str, Any]] = []
    if isinstance(statement, statements.Insert):
        source = statement.source
        if source is None or source.keyword != "VALUES" or statement.returning or statement.on_conflict:
            return False
        columns = _target_columns(session, statement.target)
        names = None if columns is None else statement.columns or tuple(columns.names)
        values = None if names is None else rows_of(source.body, len(names))
        if names is None or values is None:
            return False
        pairs = [(name, value) for name, each in zip(names, values, strict=True) for value in each]
    elif isinstance(statement, (statements.Update, statements.Delete)):
        direct = direct_update(statement) if isinstance(statement, statements.Update) else direct_delete(statement)
        columns = None if direct is None else _target_columns(session, statement.target)
        if direct is None or columns is None:
            return False
        pairs = [*direct.assignments, *direct.key]
    else:
        return False
    return _paired(found, columns, pairs)


def _paired(found: Types, columns: pa.Schema | None, pairs: Sequence[tuple[str, Any]]) -> bool:
    """Take the types of those values that are parameters from their columns; whether these are there."""
    if columns is None or not set(columns.names).issuperset(name for name, _ in pairs):
        return False
    for name, value in pairs:
        given = value.value if isinstance(value, Addition) else value
        if isinstance(given, Placeholder):
            found.setdefault(given.key, columns.field(name).type)
    return True


def _target_columns(session: Session, name: Name) -> pa.Schema | None:
    """The columns of a topic or companion table."""
    if session.names.is_own(name):
        return None
    relation = session.names.find_relation(name, tables_first=True)
    return None if relation is None else target_schema(relation)


def _read_query(found: Types, session: Session, query: statements.Query, keys: Sequence[str]) -> pa.Schema | None:
    """Add what the plan of a query tells, and return its columns; ``None`` where it cannot be planned without values."""
    unknown: Mapping[str, pa.Scalar] = dict.fromkeys(keys, pa.scalar(None, pa.null()))
    for call in query.subscribes:
        for option, value in call.options.items():
            key = value.text.strip().removeprefix("$")
            if option in _OFFSETS and key in keys and value.text.strip().startswith("$"):
                found.setdefault(key, pa.int64())
    try:
        with probing(session, query, unknown) as planning:
            frame = session.queries.frame(planning, query.body, {}, reads_only=True, whole=True)
            _add(found, session, frame.logical_plan())
            if not set(found).issuperset(
                keys
            ):  # sub-queries are out of reach until the optimiser has made joins of them
                _add(found, session, frame.optimized_logical_plan())
            return session.queries.schema_of(frame, planning, query.body)
    except QueryCanceled:
        raise
    except Exception:  # the optimiser's own too: what is wrong with it, the same with values will say
        return None


def _read_inserted(found: Types, session: Session, statement: statements.Insert, keys: Sequence[str]) -> None:
    """As the columns that VALUES go to, or as a query says."""
    if statement.source is None:
        return
    if statement.source.keyword != "VALUES":
        _read_query(found, session, statement.source, keys)
        return
    try:
        every = _target_columns(session, statement.target)
        if every is None:
            *owners, table = statement.target.parts
            catalog, namespace = (None, None, *owners)[-2:]
            every = table_schema(session, catalog, namespace, table)
        names = every.names if statement.columns is None else statement.columns
        schema = pa.schema([every.field(name).with_nullable(True) for name in names])
        edits = [(start, end, "NULL") for start, end, _ in statement.defaults]
        text = compose(f"INSERT INTO {quote_identifier(_TARGET)} ", spliced(statement.source.body, edits))
        with session.queries.planned(statement.source.words) as planning:
            with inserted_relations(session.relations, {_TARGET: RowsRelation(schema)}):
                _add(found, session, session.queries.frame(planning, text, {}).logical_plan())
    except (Error, KeyError):  # what is wrong with it, running it will say
        pass


def _add(found: Types, session: Session, plan: Any) -> None:
    def typed(expression: Any) -> pa.DataType | None:
        schema: pa.Schema = session.world.context.sql("SELECT 1").select(Expr(expression).alias("typed")).schema()
        found: pa.DataType = schema.field(0).type
        return found

    for key, data_type in placeholder_types(plan, typed).items():
        found.setdefault(key, data_type)


# --- the expressions of changes, as queries ---


def _probes(statement: _Change) -> Iterator[Fragment]:
    """Queries with all the expressions of a statement that changes rows."""
    match statement:
        case statements.Insert():
            target = _named(statement.target, statement.alias)
            conflict = statement.on_conflict
            if conflict is not None and conflict.action == "update":
                both = compose(target, f", {_path(statement.target)} AS excluded")
                yield _selected(_assigned(statement, conflict.assignments), both, conflict.condition)
        case statements.Update():
            target = _named(statement.target, statement.alias)
            yield _selected(
                _assigned(statement, statement.assignments), _joined(target, statement.source), statement.condition
            )
        case statements.Delete():
            target = _named(statement.target, statement.alias)
            yield _selected([], _joined(target, statement.source), statement.condition)
        case statements.Merge():
            yield from _merge_probes(statement)
            target = _named(statement.target, statement.target_alias)
    if statement.returning is not None:
        yield compose("SELECT ", statement.returning, "\n FROM ", target)


def _merge_probes(statement: statements.Merge) -> Iterator[Fragment]:
    target = _named(statement.target, statement.target_alias)
    alias = statement.source_alias or statement.source.text.rpartition(".")[2]
    columns = ""
    if statement.source_columns is not None:
        columns = f"({', '.join(map(quote_identifier, statement.source_columns))})"
    named = f"\n AS {quote_identifier(alias.strip().strip(chr(34)))}{columns}"
    both = compose(target, ", ", statement.source, named)
    yield _selected([], both, statement.on)
    for clause in statement.clauses:
        values = _assigned(statement, clause.assignments)
        for name, value in zip(clause.columns or (), clause.values, strict=False):
            if value is not None:
                values.append(compose(_column(statement, name), " = (", value, "\n)"))
        yield _selected(values, both, clause.condition)


def _selected(values: Sequence[Fragment], source: Fragment, condition: Fragment | None) -> Fragment:
    pieces: list[str | Fragment] = ["SELECT 1"]
    for number, value in enumerate(values):
        pieces += [", ", value, f' AS "__value_{number}"']
    pieces += [" FROM ", source]
    return compose(*pieces) if condition is None else compose(*pieces, " WHERE (", condition, "\n)")


def _assigned(statement: _Change, assignments: Sequence[statements.Assignment]) -> list[Fragment]:
    """``column = (value)``, so that a value that is a parameter has the type of its column."""
    return [
        compose(_column(statement, each.column), " = (", each.value, "\n)")
        for each in assignments
        if each.value is not None
    ]


def _column(statement: _Change, name: str) -> str:
    alias = statement.target_alias if isinstance(statement, statements.Merge) else statement.alias
    return f"{quote_identifier(alias or statement.target.parts[-1])}.{quote_identifier(name)}"


def _named(name: statements.Name, alias: str | None) -> Fragment:
    return compose(f"{_path(name)} AS {quote_identifier(alias or name.parts[-1])}")


def _path(name: statements.Name) -> str:
    return ".".join(map(quote_identifier, name.parts))


def _joined(target: Fragment, source: Fragment | None) -> Fragment:
    return target if source is None else compose(target, ", ", source, "\n")
