"""Plans with attached databases, whose parts are computed where their data is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
from datafusion import DataFrame, SessionContext
from datafusion.substrait import Consumer, Plan, Producer

from ..errors import Error
from ..federation.cutting import Cut, FoundTable, cut
from ..federation.null_aware import mark_null_aware
from ..federation.said import NotSaid
from ..federation.whole import check_sayable
from ..logs import about, reason
from .planning import Planning
from .relations import inserted_relations
from .remote_provider import PushedProvider, TextProvider

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Federated", "federated"]

_logger = logging.getLogger("jammi_sql.federation")
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
        optimized = frame.optimized_logical_plan()
        check_sayable(optimized.display_indent())
        schema: pa.Schema = context.create_dataframe_from_logical_plan(optimized).schema()
        json = orjson.loads(Producer.to_substrait_plan(optimized, context).to_json())
        mark_null_aware(optimized, json)
        found = cut(
            json,
            lambda names: _table(planning, names),
            lambda names: session.relations.rows_of(planning, names),
            frozenset(session.relations.inserted),
        )
        if found is None:
            return None
        providers = _providers(planning, found)
        planning.named = False  # what is not a source's is scanned as in any other query
        with inserted_relations(session.relations, {name: provider for name, (_, provider) in providers.items()}):
            rest = Consumer.from_substrait_plan(context, Plan.from_json(orjson.dumps(found.plan).decode()))
            result = context.create_dataframe_from_logical_plan(rest)
            now: pa.Schema = context.create_dataframe_from_logical_plan(result.optimized_logical_plan()).schema()
    except Error:
        raise
    except NotSaid as why:
        planning.whole = str(why)
        return None
    except Exception as error:  # DataFusion's own, of a plan that Substrait cannot say
        if planning.failure is not None:
            raise
        planning.whole = "the plan has something that Substrait cannot say"
        _logger.debug("a plan was not cut: %s", reason(error), extra=about(error))
        return None
    finally:
        planning.named = False
    if now.types != schema.types or now.names != schema.names:
        planning.whole = "the columns of the result would be others"
        return None
    texts = [each for each in planning.providers if isinstance(each[1], TextProvider)]
    planning.providers = [*texts, *providers.values()]
    return Federated(result, found.stayed)


def _table(planning: Planning, names: tuple[str, ...]) -> FoundTable | None:
    if len(names) != 3:
        return None
    found = planning.remote.get((names[0], names[1], names[2]))
    return None if found is None else FoundTable(names[0], found.source.dialect, found.relation)


def _providers(planning: Planning, found: Cut) -> Mapping[str, tuple[str, PushedProvider]]:
    sources = {path[0]: table.source for path, table in planning.remote.items()}
    return {
        pushed.name: (pushed.source, PushedProvider(sources[pushed.source], pushed.select, pushed.schema, planning))
        for pushed in found.pushed
    }
