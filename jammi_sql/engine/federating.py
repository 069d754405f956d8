"""Plans with attached databases, whose parts are computed where their data is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from ..federation.cut import FoundTable
from ..federation.cutting import cut
from ..federation.naming import distinct, with_output
from ..federation.said import NotSaid
from ..federation.whole import DEEP, check_size
from ..topics.definition import CATALOG
from .planning import Planning
from .relations import inserted_relations
from .remote_provider import TextProvider
from .small_sides import SmallSides
from .substrait import plan_of, substrait_of

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Federated", "federated", "table_of"]

_STATEMENTS = frozenset({"DmlStatement", "CopyTo", "Explain", "Analyze", "Ddl", "Statement", "DescribeTable"})


@dataclass(frozen=True, slots=True)
class Federated:
    """A query whose parts are computed by sources; ``stayed`` as ``Cut`` has it."""

    frame: DataFrame
    stayed: tuple[tuple[str, str], ...]


def federated(
    session: Session, planning: Planning, context: SessionContext, plan: Callable[[], DataFrame]
) -> Federated | None:
    """The query that ``plan`` plans, with what lies in one source computed there; ``None`` where nothing is.

    What a plan cannot be cut for (Substrait has no word for something in it) is not lost: each table is read by itself then.
    """
    planning.named = True
    try:
        frame = plan()
        if type(frame.logical_plan().to_variant()).__name__ in _STATEMENTS:
            return None
        check_size(frame.logical_plan().display_indent())  # before it takes time to optimise it
        optimized = frame.optimized_logical_plan()
        schema: pa.Schema = context.create_dataframe_from_logical_plan(optimized).schema()
        names = distinct(schema.names) if planning.once else schema.names
        json = with_output(substrait_of(optimized, context), schema, names)
        found = cut(
            json,
            lambda names: table_of(session, planning, names),
            lambda names: session.relations.rows_of(planning, names),
            frozenset(session.relations.inserted),
        )
        if found is None:
            return None
        planning.named = False  # what is not a source's is scanned as in any other query
        small = SmallSides(session, planning, context, found)
        found = small.read()
        with inserted_relations(session.relations, small.relations):
            result = plan_of(found.plan, session.worlds.in_given_order(context))
            now: pa.Schema = result.schema()
    except NotSaid as why:
        if planning.failure is not None:
            raise planning.failure from why
        planning.whole = str(why)
        return None
    except RecursionError:
        planning.whole = DEEP
        return None
    finally:
        planning.named = False
    if now.types != schema.types or now.names != names:
        planning.whole = "the columns of the result would be others"
        return None
    texts = [each for each in planning.providers if isinstance(each[1], TextProvider)]
    planning.providers = [*texts, *((each.source, small.providers[each.name]) for each in found.pushed)]
    planning.shows(result, schema.names)
    planning.keeps_joins = True  # where it is a part of what is planned next, too
    return Federated(result, found.stayed)


def table_of(session: Session, planning: Planning, names: tuple[str, ...]) -> FoundTable | None:
    """The table of a source that a name of a plan means."""
    if len(names) != 3 or names[0] == CATALOG:
        return None
    path = (names[0], names[1], names[2])
    if path not in planning.remote:
        session.relations.at(path)  # a view's
    found = planning.remote.get(path)
    return None if found is None else FoundTable(names[0], found.source.dialect, found.relation)
