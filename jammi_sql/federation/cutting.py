"""Cuts a plan: the largest parts that lie in one source become one relation each, which the rest reads.

A plan is Substrait in JSON: positions instead of names, every cast spelled out. What is cut out is replaced by the scan of a
relation of a new name; the rest stays as it was. Nothing is left to a source whose meaning is not known to be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from .cluster import Cluster, Semi, fields_of, gather, moved, selection
from .cut import Cut, FoundTable, LocalSide, Pushed, SmallSide
from .dialects import DIALECTS
from .equalities import Equalities
from .expression import Column, Expression
from .extent import Extent
from .growing import grown
from .joining import Item, in_order
from .null_aware import NULL_AWARE
from .part import Part
from .remote import Remote, check_deliverable, emitted_columns
from .said import NotSaid
from .scans import lowest, projected, scanned, scans
from .select import Select
from .substrait_types import Json, names_of, substrait_type
from .together import Together
from .width import width_of
from .words import Words

__all__ = ["cut", "whole_select"]

_INPUTS = ("input", "left", "right")
_SMALL = 30_000
"""Rows of a side whose keys a source is asked for."""
_LARGE = 20_000
"""Rows of a table below which all of it is read."""
_TIMES = 5
"""By how much the one has to be larger than the other."""
# Of which side of a join that is made here only the rows matter that meet one of the other side.
_REDUCIBLE: Mapping[str, tuple[str, ...]] = {
    "JOIN_TYPE_LEFT": ("right",),
    "JOIN_TYPE_RIGHT": ("left",),
    "JOIN_TYPE_LEFT_SEMI": ("left", "right"),
    "JOIN_TYPE_LEFT_ANTI": ("right",),
}
_CLAUSES = {"fetch": "limit", "project": "expression", "sort": "order"}


Lookup = Callable[[tuple[str, ...]], FoundTable | None]
RowsOf = Callable[[tuple[str, ...]], float | None]


def whole_select(plan: Json, lookup: Lookup) -> tuple[str, Select]:
    """The source in which all of a plan lies, and its statement; ``NotSaid`` where a part of it does not."""
    cutter = _Cutter(Words(plan), lookup, lambda names: None, frozenset())
    (relation,) = plan["relations"]
    piece = cutter.whole(relation["root"]["input"])
    if piece is None:
        raise NotSaid("; ".join(why for _, why in cutter.stayed) or "a part of it is not in the source")
    return piece.source, piece.select


def cut(plan: Json, lookup: Lookup, rows: RowsOf, taken: frozenset[str] = frozenset()) -> Cut | None:
    """The plan, cut; ``None`` where it reads no table of a source that understands a dialect.

    ``lookup`` is asked for the table behind a name of the plan, ``rows`` for how many rows a relation of another kind has, as
    far as that is known. ``taken`` are names that the new relations must not have.
    Raises ``NotSaid`` where the plan has to stay whole.
    """
    words = Words(plan)
    cutter = _Cutter(words, lookup, rows, taken)
    relations = [cutter.root(relation) for relation in plan["relations"]]
    if not cutter.pushed:
        return None
    extensions = [*plan.get("extensions", ()), *words.extensions]
    return Cut(
        {**plan, "extensions": extensions, "relations": relations},
        tuple(cutter.pushed),
        tuple(dict.fromkeys(cutter.stayed)),
        tuple(cutter.small),
        tuple(cutter.local),
    )


_Piece = Remote | Json


class _Cutter:
    def __init__(self, words: Words, lookup: Lookup, rows: RowsOf, taken: frozenset[str]) -> None:
        self.pushed: list[Pushed] = []
        self.small: list[SmallSide] = []
        self.local: list[LocalSide] = []
        self._rows_of = rows
        self._known: dict[tuple[str, ...], float | None] = {}
        self.stayed: list[tuple[str, str]] = []
        self._words = words
        self._lookup = lookup
        self._taken = taken
        self._aliases = Select.numbering()
        self._stays_there = False

    def root(self, relation: Json) -> Json:
        """The same relation of a plan, cut."""
        root = relation["root"]
        return {"root": {**root, "input": self._here(self._visit(root["input"]))}}

    def whole(self, rel: Json) -> Remote | None:
        """All of it as one part that lies in a source, ``None`` where that is not so. Nothing of it is read here."""
        self._stays_there = True
        piece = self._visit(rel)
        return piece if isinstance(piece, Remote) and not piece.sorts else None

    # --- a relation, from below ---

    def _visit(self, rel: Json) -> _Piece:
        ((kind, body),) = rel.items()
        if kind == "read":
            return self._read(body)
        if kind == "set":
            return self._set(body)
        if kind in ("join", "cross", "project", "filter"):
            cluster = gather(rel, self._words.parts, width_of, self._takes)
            joined = None if cluster is None else self._cluster(cluster)
            if joined is not None:
                return joined
        pieces = {key: self._visit(body[key]) for key in _INPUTS if key in body}
        if kind == "filter" and isinstance(pieces["input"], Remote) and not pieces["input"].sorts:
            return self._filter(body, pieces["input"])
        remotes = [piece for piece in pieces.values() if isinstance(piece, Remote)]
        sources = sorted({piece.source for piece in remotes})
        if remotes and len(remotes) == len(pieces) and len(sources) == 1:
            try:
                return self._grown(kind, body, remotes)
            except NotSaid as why:
                self._stays(sources[0], kind, why)
        elif len(sources) > 1:
            self.stayed.append((" and ".join(sources), "join: they are different sources"))
        if NULL_AWARE in body:
            raise NotSaid("NOT IN of a column that may be NULL: all of the plan stays here")
        return {kind: self._within(body, self._sides(kind, body, pieces))}

    # --- joins ---

    def _sides(self, kind: str, body: Json, pieces: Mapping[str, _Piece]) -> Json:
        """The inputs of a relation that is computed here; of a join, the small side first where that helps."""
        reducible = _REDUCIBLE.get(body.get("type", ""), ()) if kind == "join" and "expression" in body else ()
        widths = {key: width_of(body[key]) for key in pieces}
        for large in reducible:
            small = "left" if large == "right" else "right"
            left, right = widths["left"], widths["right"]
            if left is None or right is None:
                break
            columns = {"left": tuple(range(left)), "right": tuple(range(left, left + right))}
            parts = [self._part(pieces[side], columns[side]) for side in (small, large)]
            found = self._reduced(parts, self._equalities(self._words.parts(body["expression"]), parts), {1})
            if found:
                return {small: found[0], large: found[1]}
        if kind not in ("join", "cross"):
            return {key: self._here(piece) for key, piece in pieces.items()}
        return {key: self._beside(piece) for key, piece in pieces.items()}

    def _beside(self, piece: _Piece) -> Json:
        """A part of the plan, as the side of a join that is made here."""
        if isinstance(piece, Remote):
            return self._here(piece, beside=True)
        below = lowest(piece)
        names = scanned(below)
        rows = self._known_rows(names) if names else None
        if rows is not None:
            self.local.append(LocalSide(names, below["read"], rows))
        return piece

    def _part(self, piece: _Piece, columns: tuple[int, ...]) -> Part:
        return Part.remote(piece, columns) if isinstance(piece, Remote) else Part(piece, columns, self._extent(piece))

    def _equalities(self, conditions: Sequence[Json], parts: Sequence[Part]) -> Equalities:
        owners = {column: place for place, part in enumerate(parts) for column in part.columns}
        exact = {
            column
            for part in parts
            if isinstance(part.piece, Remote)
            for column, data_type in zip(part.columns, part.piece.types, strict=True)
            if _is_exact(data_type)
        }
        return Equalities(conditions, owners.__getitem__, self._words.is_equality, exact.__contains__)

    def _reduced(self, parts: Sequence[Part], equalities: Equalities, which: Collection[int]) -> dict[int, Json]:
        """For some of ``parts``, by their places, what stands for them: a small one that is read first, and one of a source
        that is asked for the rows with its keys, which may be one of ``which``."""
        found: dict[int, Json] = {}
        for large, part in enumerate(parts):
            piece = part.piece
            if (
                large in found
                or large not in which
                or not isinstance(piece, Remote)
                or piece.sorts
                or piece.select.limit
            ):
                continue
            rows = piece.select.rows
            if rows is None or rows < _LARGE:
                continue
            sizes = [(other.extent.rows, place) for place, other in enumerate(parts) if place not in (*found, large)]
            for size, small in sorted((size, place) for size, place in sizes if size is not None):
                if size > _SMALL or size * _TIMES > rows:
                    break
                keys = part.meets(parts[small], equalities)
                if keys is None or not part.has_few_of(parts[small], keys[1], _TIMES):
                    continue
                rel = self._beside(parts[small].piece)
                place: Json = {"read": {"namedTable": {"names": [f"__small_{len(self.small) + 1}"]}}}
                found[small], found[large] = place, self._beside(piece)
                width = len(parts[small].columns)
                self.small.append(SmallSide(place, rel, width, keys[0], self.pushed[-1].name, keys[1]))
                why = "join: the rows with the keys of the other side are asked for, which is read first"
                self.stayed.append((piece.source, why))
                break
        return found

    def _cluster(self, cluster: Cluster) -> _Piece | None:
        """Inner joins: those of tables of one source are made there, the rest in an order that suits what is known of their
        sizes. ``None`` where none of the relations is a source's: the order is DataFusion's business then."""
        pieces = [self._visit(leaf) for leaf in cluster.leaves]
        if not any(isinstance(piece, Remote) for piece in pieces) and not cluster.semis:
            return self._again(cluster, pieces)
        columns = [
            tuple(range(start, start + width)) for start, width in zip(cluster.starts, cluster.widths, strict=True)
        ]
        parts = [self._part(piece, own) for piece, own in zip(pieces, columns, strict=True)]
        equalities = self._equalities(cluster.conditions, parts)
        together = Together(parts, equalities, read=self._words.read, stays=self._stays)
        parts, conditions = together.parts, together.conditions
        if len(parts) == 1 and not conditions and not cluster.semis and isinstance(parts[0].piece, Remote):
            piece, own = parts[0].piece, parts[0].columns
            chosen = [Column(own.index(column), piece.types[own.index(column)]) for column in cluster.outputs]
            return replace(piece, select=piece.select.project(chosen))
        sources = sorted({part.piece.source for part in parts if isinstance(part.piece, Remote)})
        if len(sources) > 1:
            self.stayed.append((" and ".join(sources), "join: they are different sources"))
        semis = [(semi, self._visit(semi.rel)) for semi in cluster.semis]
        above = [each for each in semis if not self._made_below(*each, parts)]
        reduced = self._reduced(parts, equalities, range(len(parts)))
        items = [
            Item(reduced[place] if place in reduced else self._beside(part.piece), part.columns, part.extent)
            for place, part in enumerate(parts)
        ]
        rel, columns_now = in_order(items, equalities, conditions, self._words.all)
        for semi, other in above:
            rel = _semi_join(rel, columns_now, self._beside(other), semi)
        return self._chosen(rel, columns_now, cluster.outputs)

    def _takes(self, cluster: Cluster, semi: Semi) -> bool:
        """Whether the few rows of a semi join that are known here may be what a source is asked for."""
        used = {column for column in fields_of(semi.condition) if column >= 0}
        leaf = next(
            (
                leaf
                for leaf, start, width in zip(cluster.leaves, cluster.starts, cluster.widths, strict=True)
                if used and used <= set(range(start, start + width))
            ),
            None,
        )
        if leaf is None or not self._is_remote(lowest(leaf)) or any(map(self._is_remote, scans(semi.rel))):
            return False
        rows = self._extent(semi.rel).rows
        return rows is not None and rows <= _SMALL

    def _is_remote(self, rel: Json) -> bool:
        names = scanned(rel)
        table = self._lookup(names) if names else None
        return table is not None and table.dialect in DIALECTS

    def _made_below(self, semi: Semi, piece: _Piece, parts: list[Part]) -> bool:
        """Whether a semi join with ``piece`` is made of the one part that it is about, whose source is asked for its keys."""
        used = {column for column in fields_of(semi.condition) if column >= 0}
        place = next((place for place, part in enumerate(parts) if used <= set(part.columns)), None)
        width = width_of(semi.rel)
        if place is None or width is None or not isinstance(parts[place].piece, Remote):
            return False
        part = parts[place]
        other = self._part(piece, tuple(-1 - index for index in range(width)))
        pair = [other, part]
        equalities = self._equalities(self._words.parts(semi.condition), pair)
        found = self._reduced(pair, equalities, {1})
        if not found:
            return False
        rel = _semi_join(found[1], part.columns, found[0], semi)
        parts[place] = Part(rel, part.columns, part.extent.limited(other.extent.rows))
        return True

    def _again(self, cluster: Cluster, pieces: Sequence[_Piece]) -> Json:
        """The joins in the order in which they were."""
        rel, width = self._here(pieces[0]), cluster.widths[0]
        waiting = list(cluster.conditions)
        for piece, own in zip(pieces[1:], cluster.widths[1:], strict=True):
            width += own
            now = [part for part in waiting if all(index < width for index in fields_of(part))]
            waiting = [part for part in waiting if not any(part is taken for taken in now)]
            body: Json = {"left": rel, "right": self._here(piece)}
            joined = {"join": {**body, "expression": self._words.all(now), "type": "JOIN_TYPE_INNER"}} if now else None
            rel = joined or {"cross": body}
        return self._chosen(rel, tuple(range(width)), cluster.outputs)

    def _chosen(self, rel: Json, columns: Sequence[int], outputs: Sequence[int]) -> Json:
        """``outputs`` of a relation that has ``columns``."""
        if tuple(columns) == tuple(outputs):
            return rel
        emit = {"emit": {"outputMapping": [len(columns) + place for place in range(len(outputs))]}}
        expressions = [selection(columns.index(column)) for column in outputs]
        return {"project": {"common": emit, "input": rel, "expressions": expressions}}

    def _extent(self, rel: Json) -> Extent:
        """How many rows a relation has that is here, roughly."""
        ((kind, body),) = rel.items()
        if kind == "read":
            if "virtualTable" in body:  # VALUES
                return Extent(float(sum(len(body["virtualTable"].get(key, ())) for key in ("values", "expressions"))))
            names = scanned(rel)
            rows = next((pushed.select.rows for pushed in self.pushed if names == (pushed.name,)), None)
            return Extent(self._known_rows(names) if rows is None and names else rows)
        inner = Extent(None) if "input" not in body else self._extent(body["input"])
        if kind == "filter" and "aggregate" in body["input"]:
            return inner.filtered(0.02)  # HAVING is there to find the few
        return inner.filtered(0.2) if kind in ("filter", "aggregate") else inner

    def _known_rows(self, names: tuple[str, ...]) -> float | None:
        if names not in self._known:
            self._known[names] = self._rows_of(names)
        return self._known[names]

    def _stays(self, source: str, kind: str, why: NotSaid) -> None:
        self.stayed.append((source, f"{_CLAUSES.get(kind, kind)}: {why}"))

    def _grown(self, kind: str, body: Json, remotes: Sequence[Remote]) -> Remote:
        found = grown(kind, body, remotes, self._words)
        if not self._stays_there:
            check_deliverable(found)
        return found

    def _set(self, body: Json) -> _Piece:
        pieces = [self._visit(rel) for rel in body["inputs"]]
        remotes = [piece for piece in pieces if isinstance(piece, Remote) and not piece.sorts]
        if len(remotes) == len(pieces) and len({remote.source for remote in remotes}) == 1:
            try:
                if body.get("op") != "SET_OP_UNION_ALL":
                    raise NotSaid("this operation on sets is computed here")
                select = remotes[0].select.union([remote.select for remote in remotes[1:]])
                grown = Remote(remotes[0].source, select)
                check_deliverable(grown)
                return grown
            except NotSaid as why:
                self._stays(remotes[0].source, "union", why)
        return {"set": self._within(body, {"inputs": [self._here(piece) for piece in pieces]})}

    # --- filters, of which a part may stay ---

    def _read(self, body: Json) -> _Piece:
        names = scanned({"read": body})
        table = self._lookup(names) if names else None
        if table is None or table.dialect not in DIALECTS:
            return self._scan(self._within(body, {}))
        relation = table.relation
        everything = range(len(relation.columns))
        piece = Remote(table.source, Select.of(DIALECTS[table.dialect], relation, everything, self._aliases))
        local: list[Json] = []
        for key in ("filter", "bestEffortFilter"):
            if key in body:
                piece, stays = self._filtered(body[key], piece)
                local += stays
        wanted = projected(body, len(relation.columns))
        if not local:
            return replace(piece, select=piece.select.project([Column(index, piece.types[index]) for index in wanted]))
        filtered: Json = {"filter": {"input": self._here(piece), "condition": self._words.all(local)}}
        return self._chosen(filtered, range(len(piece.types)), wanted)

    def _scan(self, body: Json) -> Json:
        """A table that is read here. Its filters stand above it: DataFusion takes those in a scan for granted, which are so
        where what stood for the table took them, and not where the table itself does not."""
        conditions = [body[key] for key in ("filter", "bestEffortFilter") if key in body]
        if not conditions:
            return {"read": body}
        kept = {key: value for key, value in body.items() if key not in ("filter", "bestEffortFilter", "projection")}
        everything = range(len(body["baseSchema"]["struct"]["types"]))
        wanted = projected(body, len(everything))
        filtered = {"filter": {"input": {"read": kept}, "condition": self._words.all(conditions)}}
        return self._chosen(filtered, everything, wanted)

    def _filter(self, body: Json, piece: Remote) -> _Piece:
        piece, local = self._filtered(body["condition"], piece)
        if not local:
            return emitted_columns(piece, body)
        return {"filter": {**body, "input": self._here(piece), "condition": self._words.all(local)}}

    def _filtered(self, condition: Json, piece: Remote) -> tuple[Remote, list[Json]]:
        """What a source is told of a condition, and the parts that stay."""
        local: list[Json] = []
        for part in self._words.parts(condition):
            try:
                expression = self._words.read(part, piece.types, partial(self._scalar, piece.source))
                piece = replace(piece, select=piece.select.filter(expression))
            except NotSaid as why:
                self._stays(piece.source, "filter", why)
                local.append(self._expression(part))
        return piece, local

    def _scalar(self, source: str, body: Json) -> Expression:
        """The value of a sub-query that lies in the same source; ``NotSaid`` where it does not."""
        if "scalar" not in body:
            raise NotSaid("a sub-query is computed here")
        before = [(found, len(found)) for found in (self.pushed, self.small, self.local)]
        piece = self._visit(body["scalar"]["input"])
        if isinstance(piece, Remote) and piece.source == source:
            return piece.select.scalar()
        for found, length in before:
            del found[length:]
        raise NotSaid("a sub-query is computed here")

    # --- what stays ---

    def _here(self, piece: _Piece, *, beside: bool = False) -> Json:
        """A part of the plan, as a relation that is read here, ``beside`` others."""
        if not isinstance(piece, Remote):
            return piece
        select = piece.select
        if piece.sorts and not select.limit:
            select = replace(select, order=())  # all of its rows come anyway
        # No two relations have a column of the same name: DataFusion 55 takes one for the other where a filter moves down.
        number = len(self.pushed) + 1
        fields = [pa.field(f"p{number}c{place}", column.type) for place, column in enumerate(select.columns)]
        schema = pa.schema(fields)
        name = f"__pushed_{number}"
        while name in self._taken:
            name += "_"
        self.pushed.append(Pushed(name, piece.source, select, schema, beside))
        struct = {"types": [substrait_type(item.type) for item in fields], "nullability": "NULLABILITY_REQUIRED"}
        names = [name for item in fields for name in names_of(item)]
        read: Json = {"read": {"baseSchema": {"names": names, "struct": struct}, "namedTable": {"names": [name]}}}
        return {"sort": {"input": read, "sorts": list(piece.sorts)}} if piece.sorts else read

    def _within(self, body: Json, inputs: Json) -> Json:
        """The body of a relation with its inputs, and with the sub-queries of its expressions cut as well."""
        return {**{key: self._expression(value) for key, value in body.items() if key not in inputs}, **inputs}

    def _expression(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._expression(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "subquery" in value:
            return {"subquery": {kind: self._subquery(body) for kind, body in value["subquery"].items()}}
        return {key: self._expression(item) for key, item in value.items()}

    def _subquery(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {
            key: self._here(self._visit(item)) if key in ("input", "haystack", "tuples") else self._expression(item)
            for key, item in body.items()
        }


def _semi_join(rel: Json, columns: Sequence[int], other: Json, semi: Semi) -> Json:
    """Of ``rel``, whose ``columns`` are those of a cluster, the rows that meet one of ``other``."""
    position = {column: index for index, column in enumerate(columns)}
    width = len(columns)
    condition = moved(semi.condition, lambda index: position[index] if index >= 0 else width - 1 - index)
    return {"join": {"left": rel, "right": other, "expression": condition, "type": "JOIN_TYPE_LEFT_SEMI"}}


def _is_exact(data_type: pa.DataType) -> bool:
    """Whether values are equal here and everywhere by the same rule, which is not so of floating point numbers."""
    types = pa.types
    return any(is_one(data_type) for is_one in (types.is_integer, types.is_string, types.is_boolean, types.is_date32))
