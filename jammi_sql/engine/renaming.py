"""Queries whose tables share names of columns, run over tables that share none; why: see ``federation.naming``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext, col

from ..arrow.dataset import LazyDataset
from ..arrow.renamed_dataset import RenamedDataset
from ..dialect import quote_identifier
from ..federation.naming import distinct, renamed, shares_names, with_output
from ..federation.null_aware import NULL_AWARE
from ..federation.said import NotSaid
from .planning import Planning
from .relations import inserted_relations
from .substrait import plan_of, substrait_of

if TYPE_CHECKING:
    from .session import Session

__all__ = ["is_at_risk", "with_own_names"]

_OUTER = frozenset({"left", "right", "full"})


def is_at_risk(words: frozenset[str]) -> bool:
    """Whether a statement with these words may have an outer join, above which filters stay."""
    return "join" in words and not words.isdisjoint(_OUTER)


def with_own_names(
    session: Session, planning: Planning, context: SessionContext, plan: Callable[[], DataFrame]
) -> DataFrame | None:
    """The query that ``plan`` plans, over tables whose columns have names of their own; ``None`` where they have already, or
    where Substrait cannot say the plan."""
    planning.named = True
    try:
        frame = plan()
        optimized = frame.optimized_logical_plan()
        schema: pa.Schema = context.create_dataframe_from_logical_plan(optimized).schema()
        names = distinct(schema.names) if planning.once else schema.names
        json = with_output(substrait_of(optimized, context), schema, names)
        if not shares_names(json):
            return None
        if NULL_AWARE in str(json):
            return None
        tables: dict[str, Any] = {}

        def insert(path: tuple[str, ...], number: int) -> str:
            found = session.relations.at(path)
            name, prefix = f"__table_{number}", f"t{number}_"
            files = planning.file_relations.get(
                path
            )  # of which what was found has the columns alone, while they have names
            if files is not None:
                planning.files.append(files)
                columns = [col(quote_identifier(each)).alias(f"{prefix}{each}") for each in files.schema.names]
                tables[name] = files.frame(context).select(*columns).into_view()
            elif isinstance(found, LazyDataset):
                tables[name] = RenamedDataset(found, prefix)
            else:
                raise NotSaid("a table of DataFusion's own keeps its names")
            return name

        plan_of_own = renamed(json, insert)
        with inserted_relations(session.relations, tables):
            result = plan_of(plan_of_own, context)
            now: pa.Schema = context.create_dataframe_from_logical_plan(result.optimized_logical_plan()).schema()
    except NotSaid as why:
        if planning.failure is not None:
            raise planning.failure from why
        return None
    except RecursionError:  # it is nested too deeply to be walked through
        return None
    finally:
        planning.named = False
    if now.types != schema.types or now.names != names:
        return None
    planning.shows(result, schema.names)
    return result
