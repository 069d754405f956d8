"""What a topic is: a name, a schema, an owner and options."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..dialect import format_identifier_path, parse_identifier_path
from ..errors import InvalidParameter, ProgrammingError, ReservedName
from ..tenancy import TenantId

__all__ = ["DEFAULT_NAMESPACE", "TopicDefinition", "TopicId", "check_columns", "check_relation_name", "split_name"]

DEFAULT_NAMESPACE = "public"
CATALOG = "jammi"
RESERVED_NAMESPACES = frozenset({"system", "information_schema"})


@dataclass(frozen=True, slots=True, init=False)
class TopicId:
    """A topic's identity, a UUID. ``TopicId.new()`` makes one, ``TopicId(text)`` reads one (``InvalidParameter``)."""

    value: uuid.UUID

    def __init__(self, value: str | uuid.UUID | TopicId) -> None:
        if isinstance(value, TopicId):
            value = value.value
        if not isinstance(value, uuid.UUID):
            try:
                value = uuid.UUID(value)
            except (ValueError, AttributeError, TypeError):
                raise InvalidParameter("a topic's identity is a UUID", hint="TopicId.new() makes one") from None
        object.__setattr__(self, "value", value)

    @classmethod
    def new(cls) -> TopicId:
        """A fresh identity."""
        return cls(uuid.uuid4())

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class TopicDefinition:
    """A topic as it is registered.

    ``name`` is an identifier path: ``changes`` or ``events.changes``; unquoted parts fold to lower case.
    ``schema`` holds the user's columns, none of which begins with ``_``. ``tenant`` owns the topic, ``None`` makes
    it global. ``broker_metadata`` is text to text: ``retention`` and ``retention_bytes`` are the engine's, the rest
    is the broker's. ``tenant`` and ``id`` may be given as text. ``InvalidParameter`` for what is of another kind.
    """

    name: str
    schema: pa.Schema
    tenant: TenantId | None = None
    broker_metadata: Mapping[str, str] = field(default_factory=dict)
    id: TopicId = field(default_factory=TopicId.new)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidParameter("a topic's name is text", hint="write it as events.changes")
        if not isinstance(self.schema, pa.Schema):
            raise InvalidParameter("a topic's schema is a pyarrow.Schema", hint="make it with pyarrow.schema")
        if not isinstance(self.broker_metadata, Mapping):
            raise InvalidParameter("a topic's broker_metadata is a mapping of text to text", hint="leave it out")
        object.__setattr__(self, "tenant", TenantId.optional(self.tenant))
        object.__setattr__(self, "id", TopicId(self.id))

    def __hash__(self) -> int:
        return hash(self.id)


def check_definition(topic: TopicDefinition) -> None:
    """``InvalidParameter`` for what is no definition, such as a topic's name."""
    if not isinstance(topic, TopicDefinition):
        raise InvalidParameter(
            f"a topic is given as its TopicDefinition, not as {type(topic).__name__}",
            hint="topic_repo.lookup_by_name finds it",
        )


def split_name(name: str) -> tuple[str, str]:
    """Namespace and name of an identifier path; the catalog, where given, must be ``jammi``."""
    if not isinstance(name, str):
        raise InvalidParameter("a name is text", hint="write it as events.changes")
    parts = parse_identifier_path(name)
    return namespace_of(parts)


def namespace_of(parts: tuple[str, ...], position: int | None = None) -> tuple[str, str]:
    """Namespace and name of a parsed path, ``ProgrammingError`` where it cannot name something of this store."""
    if len(parts) == 1:
        return DEFAULT_NAMESPACE, parts[0]
    if len(parts) == 3 and parts[0] == CATALOG:
        parts = parts[1:]
    if len(parts) != 2:
        raise ProgrammingError(
            f"{format_identifier_path(parts)} is not in catalog {CATALOG}",
            sqlstate="3D000",
            position=position,
            hint=f"topics and tables live in {CATALOG}.schema.name",
        )
    return parts[0], parts[1]


def check_name(namespace: str, name: str, position: int | None = None) -> None:
    """``ReservedName`` for the engine's own schemas and for empty names."""
    if namespace in RESERVED_NAMESPACES:
        raise ReservedName(f"schema {namespace} belongs to the engine", position=position, hint="choose another schema")
    check_relation_name(name, position)
    if not name or not namespace:
        raise ProgrammingError("a name cannot be empty", sqlstate="42602", position=position, hint="choose a name")
    if "\0" in name or "\0" in namespace:
        raise ProgrammingError(
            "a name cannot hold a zero byte", sqlstate="42602", position=position, hint="leave it out"
        )


def check_relation_name(name: str, position: int | None = None) -> None:
    """``ReservedName`` for what a statement puts in place of subscribe(...), of an INSERT's target, of what a source computes."""
    if name.startswith("__"):
        raise ReservedName(
            f"{name}: names that begin with __ belong to the engine", position=position, hint="choose another name"
        )


def check_columns(schema: pa.Schema) -> None:
    """``ReservedName`` for columns that begin with ``_``; ``ProgrammingError`` for none at all or one named twice."""
    if not len(schema):
        raise ProgrammingError("a topic needs at least one column", sqlstate="42P16")
    for name in schema.names:
        check_column_name(name)
        if schema.names.count(name) > 1:
            raise ProgrammingError(f"column {name} is named twice", sqlstate="42701")


def check_column_name(name: str, position: int | None = None) -> None:
    """``ReservedName`` for a name that begins with ``_``."""
    if name.startswith("_"):
        raise ReservedName(
            f"column {name}: names that begin with _ belong to the engine", position=position, hint="rename the column"
        )
    if not name or "\0" in name:
        raise ProgrammingError(
            "a column name cannot be empty or hold a zero byte",
            sqlstate="42602",
            position=position,
            hint="rename the column",
        )


def display_name(namespace: str, name: str) -> str:
    """The shortest path that leads back to it."""
    return format_identifier_path((name,) if namespace == DEFAULT_NAMESPACE else (namespace, name))


def same_schema(one: pa.Schema, other: pa.Schema) -> bool:
    """Equal names, types and nullability in the same order; comments do not count."""
    return bool(one.equals(other))


def first_difference(one: pa.Schema, other: pa.Schema) -> str:
    """Where two schemas part, in words."""
    for index in range(max(len(one), len(other))):
        left: Any = one.field(index) if index < len(one) else None
        right: Any = other.field(index) if index < len(other) else None
        if left is None:
            return f"column {right.name} is new"
        if right is None:
            return f"column {left.name} is missing"
        if not left.equals(right):
            return f"column {index + 1} is {_column_text(left)} there and {_column_text(right)} here"
    return "they are equal"


def _column_text(field: pa.Field) -> str:
    return f"{field.name} {field.type}{'' if field.nullable else ' not null'}"
