"""A plan of filters and projections over one relation, run by kernels over batches of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from .expression import Field, Node, UnreadableExpression, chain
from .filter import Filter, filter_of
from .kernels import Operand, Undecided, compile_value
from .planned import read_planned

__all__ = ["UNDECIDED", "Program", "compile_program", "pushed_filter"]

UNDECIDED = (pa.ArrowException, Undecided)
"""What a program raises where the answer, or the error, is DataFusion's to give: a division by zero, for one."""


@dataclass(frozen=True, slots=True)
class _Projection:
    outputs: tuple[Operand, ...]
    schema: pa.Schema

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.outputs:
            return batch.select([])
        return pa.RecordBatch.from_arrays([output.evaluate(batch) for output in self.outputs], schema=self.schema)


@dataclass(frozen=True, slots=True)
class Program:
    """``pushed`` is what the relation is asked for itself, ``columns`` are those of it that the rest reads."""

    pushed: Filter | None
    columns: list[str]
    _steps: tuple[Filter | _Projection, ...]

    def run(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What the plan makes of rows of the relation that ``pushed`` has kept. Raises ``UNDECIDED``."""
        for step in self._steps:
            batch = step.apply(batch)
        return batch


class _Column(NamedTuple):
    """A column of a plan, and its name in the batch."""

    relation: str | None
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class _Stage:
    """A part of a plan, from the scan on: what it makes are ``columns`` of batches of ``schema``."""

    columns: list[_Column]
    schema: pa.Schema
    pushed: Filter | None
    read: list[str]
    steps: tuple[Filter | _Projection, ...] = ()

    def node(self, expression: Any) -> Node:
        return read_planned(expression, self._source)

    def _source(self, relation: str | None, name: str) -> str:
        found = [column.source for column in self.columns if column[:2] == (relation, name)]
        if len(found) != 1:
            raise UnreadableExpression(f"column {name} is there {len(found)} times")
        return found[0]


def compile_program(plan: Any, schema: pa.Schema, result: pa.Schema) -> Program:
    """The program of an optimised plan over a relation of ``schema``, which makes batches of ``result``.

    Raises ``UnreadableExpression`` where the plan does anything else, or with an expression that is not on the list.
    """
    stage = _stage(plan, schema)
    *steps, last = stage.steps or (None,)
    if isinstance(last, _Projection):
        outputs = last.outputs
    else:
        steps = list(stage.steps)
        outputs = tuple(compile_value(Field(column.source), stage.schema) for column in stage.columns)
    if [output.type for output in outputs] != result.types:
        raise UnreadableExpression(f"the kernels make {[str(output.type) for output in outputs]} of {result}")
    return Program(stage.pushed, stage.read, (*steps, _Projection(outputs, result)))


def pushed_filter(plan: Any, schema: pa.Schema) -> Filter | None:
    """What an optimised plan asks of the relation that it scans; ``None`` where that is nothing, or not known here."""
    while plan.inputs():
        plan = plan.inputs()[0]
    if type(plan.to_variant()).__name__ != "TableScan":
        return None
    try:
        return _scan(plan.to_variant(), schema).pushed
    except UnreadableExpression:
        return None


def _stage(plan: Any, schema: pa.Schema) -> _Stage:
    variant = plan.to_variant()
    match type(variant).__name__:
        case "TableScan":
            return _scan(variant, schema)
        case "SubqueryAlias":
            stage, alias = _stage(plan.inputs()[0], schema), variant.alias()
            return replace(stage, columns=[column._replace(relation=alias) for column in stage.columns])
        case "Filter":
            stage = _stage(plan.inputs()[0], schema)
            wanted = filter_of(stage.node(variant.predicate()), stage.schema)
            return replace(stage, steps=(*stage.steps, wanted))
        case "Projection":
            return _projected(_stage(plan.inputs()[0], schema), variant.projections())
        case kind:
            raise UnreadableExpression(f"{kind} is no filter and no projection")


def _scan(variant: Any, schema: pa.Schema) -> _Stage:
    if variant.fetch() is not None:
        raise UnreadableExpression("a scan with a limit")
    relation = variant.table_name()
    every = _Stage([_Column(relation, name, name) for name in schema.names], schema, None, schema.names)
    filters = [every.node(filter_) for filter_ in variant.filters()]
    read = [name for _, name in variant.projection()]
    return _Stage(
        [_Column(relation, name, name) for name in read],
        schema,
        filter_of(chain("and_kleene", filters), schema) if filters else None,
        read,
    )


def _projected(stage: _Stage, expressions: Sequence[Any]) -> _Stage:
    columns, outputs = [], []
    for number, expression in enumerate(expressions):
        relation, name = None, expression.schema_name()
        if expression.variant_name() == "Column":
            relation, name = expression.to_variant().relation(), expression.to_variant().name()
        elif expression.variant_name() == "Alias":
            name = expression.to_variant().alias()
        columns.append(_Column(relation, name, str(number)))
        outputs.append(compile_value(stage.node(expression), stage.schema))
    schema = pa.schema([(column.source, output.type) for column, output in zip(columns, outputs, strict=True)])
    return _Stage(columns, schema, stage.pushed, stage.read, (*stage.steps, _Projection(tuple(outputs), schema)))
