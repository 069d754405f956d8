"""Topics as the store's catalogue has them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from ..arrow.ipc import Codec, checksum, decode_schema, encode_schema
from ..errors import (
    DataCorrupted,
    DuplicateObject,
    PermissionDenied,
    ProgrammingError,
    SchemaConflict,
    SerializationFailure,
    TopicNotFound,
)
from ..ports import Clock, NamedQuery, Reader, Transaction
from ..tenancy import TenantId
from .definition import (
    DEFAULT_NAMESPACE,
    TopicDefinition,
    TopicId,
    check_column_name,
    check_columns,
    check_definition,
    check_name,
    display_name,
    first_difference,
    same_schema,
    split_name,
)
from .remembered import Remembered
from .segments.catalog import SegmentCatalog

__all__ = ["NAMES", "CatalogTopic", "TopicCatalog", "tenant_text"]

NAMES = "names"
"""What a transaction locks that makes or changes names of relations: topics and tables share them."""

_PAST_ALL = (1 << 63) - 1
_REMEMBERED = 4096  # topics whose schemas are kept decoded
_IDENTITY = ("number", "version", "checksum", "uuid", "tenant", "namespace", "name")


class _Known(NamedTuple):
    """What of a topic follows from the columns of ``_IDENTITY``."""

    path: str
    codecs: dict[int, Codec]
    tenant: TenantId | None
    identity: TopicId


def _metadata(text: str) -> dict[str, str]:
    """The options of a topic; ``ValueError`` for what is no object of texts."""
    metadata = orjson.loads(text)
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("not an object of texts")
    return metadata


def _damaged_row(path: str) -> DataCorrupted:
    return DataCorrupted(f"the catalogue row of topic {path} is damaged", hint="restore the store from a backup")


def not_registered(definition: TopicDefinition) -> TopicNotFound:
    """For a topic that is not there, and for one that is not the asking tenant's: they must look the same."""
    return TopicNotFound(
        f"topic {definition.name} is not registered", hint="register it with topic_repo.register_topic first"
    )


def tenant_text(tenant: TenantId | None) -> str:
    """How the store writes a tenant: its UUID, '' for none."""
    return "" if tenant is None else str(tenant)


@dataclass(frozen=True, slots=True, eq=False)
class CatalogTopic:
    """A registered topic: its row, its schemas by version, and where its log began and ended when it was read."""

    number: int
    namespace: str
    local_name: str
    definition: TopicDefinition
    version: int
    codecs: Mapping[int, Codec]
    first_offset: int
    next_offset: int
    hot_offset: int
    """Those below it are in segments."""

    @property
    def name(self) -> str:
        """The identifier path that leads to it."""
        return self.definition.name

    @property
    def codec(self) -> Codec:
        """Of the newest schema."""
        return self.codecs[self.version]


class TopicCatalog:
    """Reads and changes the catalogue's rows. Every change happens in a transaction that the caller gives."""

    def __init__(self, queries: Mapping[str, NamedQuery], segments: SegmentCatalog, clock: Clock) -> None:
        self._queries = queries
        self._segments = segments
        self._clock = clock
        # The checksum of the newest schema is in the key, so that what a transaction reads of its own may be kept too.
        self._known: Remembered[tuple[Any, ...], _Known] = Remembered(_REMEMBERED)

    # --- reading ---

    def visible(self, reader: Reader, tenant: TenantId | None) -> list[CatalogTopic]:
        """What ``tenant`` sees, by name; its own hides a global one of the same name."""
        rows = reader.query(self._queries["topics_visible"], (tenant_text(tenant),))
        return self._nearest(reader, rows)

    def named(self, reader: Reader, tenant: TenantId | None, names: Iterable[str]) -> list[CatalogTopic]:
        """Of what ``tenant`` sees, the topics whose last name part is among ``names``, as of one moment."""
        text = orjson.dumps(sorted(names)).decode()
        rows = reader.query(self._queries["topics_named"], (tenant_text(tenant), text))
        return self._nearest(reader, rows)

    def with_retention(self, reader: Reader) -> list[CatalogTopic]:
        """The topics of all tenants that have a retention."""
        rows = reader.query(self._queries["topics_with_retention"])
        return [self._topic(reader, row) for row in rows.to_pylist()]

    def lookup(self, reader: Reader, tenant: TenantId | None, namespace: str, name: str) -> CatalogTopic | None:
        """The topic of that name that ``tenant`` sees."""
        found = self.named(reader, tenant, [name])
        return next((topic for topic in found if topic.namespace == namespace), None)

    def by_id(self, reader: Reader, topic_id: TopicId) -> CatalogTopic | None:
        """The topic with that identity, whoever owns it."""
        rows = reader.query(self._queries["topic_by_uuid"], (str(topic_id),))
        found = self._nearest(reader, rows)
        return found[0] if found else None

    def numbered(self, reader: Reader, number: int) -> CatalogTopic | None:
        """The topic with that number, whoever owns it."""
        found = self._nearest(reader, reader.query(self._queries["topic_by_number"], (number,)))
        return found[0] if found else None

    def resolve(self, reader: Reader, definition: TopicDefinition) -> CatalogTopic:
        """The registered topic that a definition in hand means: by identity, else by owner and name."""
        check_definition(definition)
        found = self.by_id(reader, definition.id)
        if found is None:
            found = self.lookup(reader, definition.tenant, *split_name(definition.name))
        if found is None or found.definition.tenant != definition.tenant:
            raise not_registered(definition)
        return found

    def namespaces(self, reader: Reader, tenant: TenantId | None) -> list[str]:
        """The schemas that ``tenant`` sees, ``public`` always among them."""
        rows = reader.query(self._queries["namespaces"], (tenant_text(tenant),))
        return sorted({DEFAULT_NAMESPACE, *(str(name) for name in rows.column(0).to_pylist())})

    def owned_namespaces(self, reader: Reader, tenant: TenantId | None) -> set[str]:
        """The schemas that ``tenant`` made or has something in, global ones left out unless it is ``None``."""
        rows = reader.query(self._queries["namespaces"], (tenant_text(tenant),)).to_pylist()
        return {row["name"] for row in rows if row["tenant"] == tenant_text(tenant)}

    def _nearest(self, reader: Reader, rows: pa.Table) -> list[CatalogTopic]:
        # Rows come by namespace, name, tenant: '' sorts before a tenant's own row, which therefore replaces it.
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows.to_pylist():
            found[row["namespace"], row["name"]] = row
        return [self._topic(reader, row) for row in found.values()]

    def _topic(self, reader: Reader, row: Mapping[str, Any]) -> CatalogTopic:
        version: int = row["version"]
        key = tuple(row[name] for name in _IDENTITY)
        known = self._known.get(key)
        if known is None:
            known = self._look_at(reader, row)
            if row["checksum"] is not None:
                self._known[key] = known
        try:
            metadata = _metadata(row["metadata"])
        except ValueError as error:
            raise _damaged_row(known.path) from error
        schema = known.codecs[version].schema
        return CatalogTopic(
            row["number"], row["namespace"], row["name"],
            TopicDefinition(known.path, schema, known.tenant, metadata, known.identity),
            version, known.codecs, row["first_offset"], row["next_offset"], row["hot_offset"],
        )  # fmt: skip

    def _look_at(self, reader: Reader, row: Mapping[str, Any]) -> _Known:
        path = display_name(row["namespace"], row["name"])
        codecs = self._load_codecs(reader, row["number"], row["version"], path)
        try:
            tenant = TenantId(row["tenant"]) if row["tenant"] else None
            return _Known(path, codecs, tenant, TopicId(row["uuid"]))
        except (ValueError, ProgrammingError) as error:
            raise _damaged_row(path) from error

    def _load_codecs(self, reader: Reader, number: int, version: int, path: str) -> dict[int, Codec]:
        rows = reader.query(self._queries["topic_schemas"], (number,))
        loaded = {
            row["version"]: Codec.of(decode_schema(row["ipc"], row["checksum"], f"topic {path}"))
            for row in rows.to_pylist()
        }
        if version not in loaded:
            raise DataCorrupted(
                f"topic {path}: version {version} of its schema is missing", hint="restore the store from a backup"
            )
        return loaded

    # --- changing ---

    def register(
        self, transaction: Transaction, definition: TopicDefinition, *, must_be_new: bool = False
    ) -> tuple[CatalogTopic, bool]:
        """The topic, and whether it is new.

        The same schema again is a no-op (``DuplicateObject`` with ``must_be_new``), another one is ``SchemaConflict``.
        ``DuplicateObject`` as well for an identity that another topic has, whoever owns that.
        """
        check_definition(definition)
        namespace, name = split_name(definition.name)
        check_name(namespace, name)
        check_columns(definition.schema)
        transaction.lock(NAMES)
        existing = self.lookup(transaction, definition.tenant, namespace, name)
        if existing is not None and existing.definition.tenant == definition.tenant:
            if not same_schema(existing.definition.schema, definition.schema):
                raise SchemaConflict(
                    f"topic {existing.name} exists with another schema: "
                    f"{first_difference(existing.definition.schema, definition.schema)}",
                    hint="ALTER TOPIC ... ADD COLUMN, or choose another name",
                )
            if must_be_new:
                raise DuplicateObject(f"topic {existing.name} exists already", hint="use IF NOT EXISTS")
            return existing, False
        self._check_free(transaction, definition.tenant, namespace, name)
        if self.by_id(transaction, definition.id) is not None:
            raise DuplicateObject(
                f"topic {definition.name} cannot have the id {definition.id}: another topic has it",
                hint="leave the id out, and a new one is made",
            )
        self._insert(transaction, definition, namespace, name)
        return self.resolve(transaction, definition), True

    def _insert(self, transaction: Transaction, definition: TopicDefinition, namespace: str, name: str) -> None:
        metadata = {str(key): str(value) for key, value in definition.broker_metadata.items()}
        number = secrets.randbits(62)  # why: see the table in sql/migrations
        transaction.execute(
            self._queries["insert_topic"],
            (
                number,
                str(definition.id),
                tenant_text(definition.tenant),
                namespace,
                name,
                orjson.dumps(metadata).decode(),
                self._clock.now_us(),
            ),
        )
        self._insert_schema(transaction, number, 1, definition.schema)

    def _insert_schema(self, transaction: Transaction, number: int, version: int, schema: pa.Schema) -> None:
        data = encode_schema(schema)
        transaction.execute(self._queries["insert_topic_schema"], (number, version, checksum(data), data))

    def _check_free(self, transaction: Transaction, tenant: TenantId | None, namespace: str, name: str) -> None:
        rows = transaction.query(self._queries["table_of_name"], (tenant_text(tenant), namespace, name))
        if rows.column(0)[0].as_py():
            raise DuplicateObject(
                f"{display_name(namespace, name)} exists already: it is a table", hint="choose another name"
            )

    def add_column(self, transaction: Transaction, topic: CatalogTopic, field: pa.Field) -> None:
        """Append a nullable column. Stored batches stay as they are and read as NULL."""
        check_column_name(field.name)
        if field.name in topic.definition.schema.names:
            raise DuplicateObject(
                f"topic {topic.name} has column {field.name} already", sqlstate="42701", hint="use IF NOT EXISTS"
            )
        if not field.nullable:
            raise ProgrammingError(
                f"column {field.name} must be nullable: older batches read as NULL",
                sqlstate="42P16",
                hint="leave NOT NULL out",
            )
        self._hold(transaction, topic)
        self._insert_schema(transaction, topic.number, topic.version + 1, topic.definition.schema.append(field))
        transaction.execute(self._queries["set_topic_version"], (topic.number, topic.version + 1))

    def set_metadata(self, transaction: Transaction, topic: CatalogTopic, metadata: Mapping[str, str]) -> None:
        """Replace the options."""
        self._hold(transaction, topic)
        text = orjson.dumps(dict(metadata)).decode()
        transaction.execute(self._queries["set_topic_metadata"], (topic.number, text))

    def rename(self, transaction: Transaction, topic: CatalogTopic, namespace: str, name: str) -> None:
        """Give it another name; ``DuplicateObject`` where that is taken."""
        check_name(namespace, name)
        transaction.lock(NAMES)
        self._hold(transaction, topic)
        existing = self.lookup(transaction, topic.definition.tenant, namespace, name)
        if existing is not None and existing.definition.tenant == topic.definition.tenant:
            raise DuplicateObject(f"topic {existing.name} exists already", hint="choose another name")
        self._check_free(transaction, topic.definition.tenant, namespace, name)
        transaction.execute(self._queries["rename_topic"], (topic.number, namespace, name))

    def drop(self, transaction: Transaction, topic: CatalogTopic) -> None:
        """Remove it with all its batches and segments."""
        self._hold(transaction, topic)
        self._segments.drop_before(transaction, topic.number, _PAST_ALL, self._clock.now_us())
        transaction.execute(self._queries["delete_topic_batches"], (topic.number,))
        transaction.execute(self._queries["delete_topic"], (topic.number,))

    def _hold(self, transaction: Transaction, topic: CatalogTopic) -> None:
        """Keep others from changing the topic, or appending to it, until the end: where the store does not do so anyway,
        somebody may have changed it since it was looked up."""
        now = self.numbered(transaction, topic.number)
        if now is None:
            raise TopicNotFound(f"topic {topic.name} was dropped")
        said = (topic.version, topic.definition.broker_metadata, topic.name)
        if said != (now.version, now.definition.broker_metadata, now.name):
            raise SerializationFailure(
                f"topic {topic.name} was altered by another transaction", hint="run the statement again"
            )

    def create_namespace(self, transaction: Transaction, tenant: TenantId | None, name: str) -> None:
        """Make a schema; again is a no-op."""
        check_name(name, "relation")
        transaction.execute(self._queries["insert_namespace"], (tenant_text(tenant), name))

    def drop_namespace(self, transaction: Transaction, tenant: TenantId | None, name: str) -> None:
        """Forget an empty schema."""
        transaction.execute(self._queries["delete_namespace"], (tenant_text(tenant), name))

    @staticmethod
    def check_owner(topic: CatalogTopic, tenant: TenantId | None) -> None:
        """``PermissionDenied`` where ``tenant`` may use a global topic but not change it for everybody."""
        if topic.definition.tenant != tenant:
            raise PermissionDenied(
                f"topic {topic.name} is global: a tenant may read and publish, not change it",
                hint="do it in a session without a tenant",
            )
