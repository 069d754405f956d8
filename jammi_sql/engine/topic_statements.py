"""CREATE, ALTER, TRUNCATE, DROP, SHOW and DESCRIBE of topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import format_identifier_path, quote_identifier, statements
from ..errors import DuplicateObject, Error, ProgrammingError
from ..plan.arguments import Moment, read_bound
from ..plan.columns import COMMENT, columns_to_schema, sql_type
from ..ports import Transaction
from ..results import BatchResult, CommandResult, Result
from ..tables.catalog import CatalogTable
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic
from ..topics.definition import TopicDefinition, check_column_name
from ..topics.relation import relation_schema
from ..topics.retention import check_options

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "add_column",
    "check_own_free",
    "create_topic",
    "define",
    "describe",
    "drop_topic",
    "forget_after_commit",
    "rename_topic",
    "reset_options",
    "set_options",
    "show_create_table",
    "show_create_topic",
    "show_topics",
    "truncate_topic",
]

Parameters = Mapping[str, pa.Scalar]


def owner(session: Session, is_global: bool) -> TenantId | None:
    """Who owns what the session makes."""
    return None if is_global else session.tenant


def define(
    session: Session,
    transaction: Transaction,
    name: statements.Name,
    schema: pa.Schema,
    options: Mapping[str, str],
    *,
    is_global: bool,
    must_be_new: bool,
) -> tuple[CatalogTopic, bool]:
    """Register a topic inside ``transaction``; errors get the name's position."""
    namespace, local_name = session.names.path(name)
    check_own_free(session, namespace, local_name, name.position)
    definition = TopicDefinition(
        format_identifier_path((namespace, local_name)),
        schema,
        owner(session, is_global),
        check_options(options, session.engine.broker),
    )
    try:
        topic, is_new = session.engine.services.catalog.register(transaction, definition, must_be_new=must_be_new)
    except Error as error:
        if error.position is None:
            error.position = name.position
        raise
    transaction.after_commit(lambda: session.engine.broker.register_topic(topic.definition))
    return topic, is_new


def check_own_free(session: Session, namespace: str, local_name: str, position: int) -> None:
    """``DuplicateObject`` where the session has a view or an in-memory table of that name."""
    if session.world.catalog.own(namespace, local_name) is not None:
        raise DuplicateObject(
            f"{local_name} is a view or an in-memory table of this session",
            position=position,
            hint="drop it first, or choose another name",
        )


def create_topic(session: Session, statement: statements.CreateTopic, parameters: Parameters) -> Result:
    """CREATE TOPIC."""
    for column in statement.columns:
        check_column_name(column.name, column.position)
    schema = columns_to_schema(statement.columns)
    with session.scope.writing() as transaction:
        define(
            session, transaction, statement.name, schema, statement.options,
            is_global=statement.is_global, must_be_new=not statement.if_not_exists,
        )  # fmt: skip
    return CommandResult()


def _altered(session: Session, name: statements.Name, transaction: Transaction) -> CatalogTopic:
    topic = session.names.topic(name, transaction)
    session.engine.services.catalog.check_owner(topic, session.tenant)
    return topic


def add_column(session: Session, statement: statements.AlterTopicAddColumn, parameters: Parameters) -> Result:
    """ALTER TOPIC ... ADD COLUMN."""
    column = statement.column
    check_column_name(column.name, column.position)
    field = columns_to_schema([column]).field(0)
    with session.scope.writing() as transaction:
        topic = _altered(session, statement.name, transaction)
        try:
            session.engine.services.catalog.add_column(transaction, topic, field)
        except DuplicateObject as error:
            if statement.if_not_exists:
                return CommandResult()
            error.position = column.position
            raise
    return CommandResult()


def set_options(session: Session, statement: statements.AlterTopicSet, parameters: Parameters) -> Result:
    """ALTER TOPIC ... SET."""
    with session.scope.writing() as transaction:
        topic = _altered(session, statement.name, transaction)
        options = {**topic.definition.broker_metadata, **check_options(statement.options, session.engine.broker)}
        session.engine.services.catalog.set_metadata(transaction, topic, options)
    return CommandResult()


def reset_options(session: Session, statement: statements.AlterTopicReset, parameters: Parameters) -> Result:
    """ALTER TOPIC ... RESET; an option that is not set stays so."""
    with session.scope.writing() as transaction:
        topic = _altered(session, statement.name, transaction)
        options = {key: value for key, value in topic.definition.broker_metadata.items() if key not in statement.keys}
        session.engine.services.catalog.set_metadata(transaction, topic, options)
    return CommandResult()


def rename_topic(session: Session, statement: statements.AlterTopicRename, parameters: Parameters) -> Result:
    """ALTER TOPIC ... RENAME TO; a new name without a schema stays in the topic's own."""
    with session.scope.writing() as transaction:
        topic = _altered(session, statement.name, transaction)
        new_name = statement.new_name
        namespace, local_name = (
            (topic.namespace, new_name.parts[0]) if len(new_name.parts) == 1 else session.names.path(new_name)
        )
        check_own_free(session, namespace, local_name, new_name.position)
        try:
            session.engine.services.catalog.rename(transaction, topic, namespace, local_name)
        except Error as error:
            error.position = new_name.position
            raise
    return CommandResult()


def truncate_topic(session: Session, statement: statements.TruncateTopic, parameters: Parameters) -> Result:
    """TRUNCATE TOPIC ... BEFORE."""
    position = statement.before.origin(0)
    bound = read_bound(session.queries.evaluate(statement.before, parameters), "BEFORE", position)
    services = session.engine.services
    with session.scope.writing() as transaction:
        topic = _altered(session, statement.name, transaction)
        if isinstance(bound, Moment):
            before = services.log.offset_since(transaction, topic, bound.microseconds)
        elif isinstance(bound, str):
            before = services.log.head(transaction, topic).next
        else:
            before = bound
        services.log.truncate(transaction, topic, before, session.engine.clock.now_us())
    return CommandResult()


def drop_topic(session: Session, statement: statements.DropTopic, parameters: Parameters) -> Result:
    """DROP TOPIC."""
    services = session.engine.services
    with session.scope.writing() as transaction:
        topic = session.names.find_topic(statement.name, transaction)
        if topic is None and statement.if_exists:
            return CommandResult()
        topic = _altered(session, statement.name, transaction)
        services.catalog.drop(transaction, topic)
        forget_after_commit(session, transaction, topic)
    return CommandResult()


def forget_after_commit(session: Session, transaction: Transaction, topic: CatalogTopic) -> None:
    """Let the broker forget a topic that is dropped in ``transaction``."""
    transaction.after_commit(lambda: session.engine.broker.drop_topic(topic.definition.id))


def show_topics(session: Session, statement: statements.ShowTopics, parameters: Parameters) -> Result:
    """SHOW TOPICS: the rows of ``jammi.system.topics``, those whose name is LIKE the pattern."""
    like = statements.Fragment("SELECT * FROM jammi.system.topics ORDER BY schema, name", ((0, 0),))
    values: dict[str, pa.Scalar] = {}
    if statement.pattern is not None:
        values = {"1": session.queries.evaluate(statement.pattern, parameters)}
        like = statements.Fragment(
            "SELECT * FROM jammi.system.topics WHERE name LIKE $1 OR schema || '.' || name LIKE $1 "
            "ORDER BY schema, name",
            ((0, statement.pattern.origin(0)),),
        )
    with session.queries.planned(frozenset()) as planning:
        frame = session.queries.frame(planning, like, values, session.world.ordered_context)
        return BatchResult.of(session.queries.collect(frame, planning, like))


_DESCRIPTION = pa.schema(
    [
        ("column_name", pa.string()),
        ("data_type", pa.string()),
        ("is_nullable", pa.string()),
        ("comment", pa.string()),
    ]
)

_TABLE_DESCRIPTION = pa.schema([*_DESCRIPTION, pa.field("key", pa.string()), pa.field("default", pa.string())])


def describe(session: Session, statement: statements.Describe, parameters: Parameters) -> Result:
    """DESCRIBE: of a topic or table its columns with their SQL types and comments; of another relation what DataFusion
    says. Of a table also the keys that a column is part of, and its default."""
    found = session.names.find_relation(statement.name)
    if found is None or session.names.own(statement.name) is not None:
        from .statements import run_query  # noqa: PLC0415

        return run_query(session, statement.body, parameters)
    if isinstance(found, CatalogTopic):
        columns = [_described(field) for field in relation_schema(found.codec.schema)]
        return BatchResult.of(pa.Table.from_pylist(columns, schema=_DESCRIPTION))
    rows = [
        {**_described(column.field), "key": _key(found, column.name), "default": column.default}
        for column in found.columns
    ]
    return BatchResult.of(pa.Table.from_pylist(rows, schema=_TABLE_DESCRIPTION))


def _described(field: pa.Field) -> dict[str, str | None]:
    return {
        "column_name": field.name,
        "data_type": sql_type(field.type),
        "is_nullable": "YES" if field.nullable else "NO",
        "comment": _comment(field),
    }


def _key(table: CatalogTable, column: str) -> str | None:
    if column in table.definition.primary_key:
        return "PRIMARY KEY"
    for key in table.keys:
        if column in key:
            return "UNIQUE" if len(key) == 1 else f"UNIQUE ({', '.join(key)})"
    return None


def _comment(field: pa.Field) -> str | None:
    data = (field.metadata or {}).get(COMMENT)
    return None if data is None else data.decode()


def show_create_topic(session: Session, statement: statements.ShowCreateTopic, parameters: Parameters) -> Result:
    """SHOW CREATE TOPIC: one row with the statement that makes the topic again."""
    topic = session.names.topic(statement.name)
    lines = [_column(field) for field in topic.codec.schema]
    is_global = topic.definition.tenant is None and session.tenant is not None
    text = f"CREATE {'GLOBAL ' if is_global else ''}TOPIC {topic.name} (\n" + ",\n".join(lines) + "\n)"
    options = topic.definition.broker_metadata
    if options:
        pairs = ", ".join(
            f"{format_identifier_path((key,))} = {_text_literal(value)}" for key, value in options.items()
        )
        text += f" WITH ({pairs})"
    return BatchResult.of(pa.table({"topic": [topic.name], "statement": [text]}))


def show_create_table(session: Session, statement: statements.ShowCreateTable, parameters: Parameters) -> Result:
    """SHOW CREATE TABLE: one row with the statements that make a companion table and its indexes again."""
    found = session.names.find_relation(statement.name)
    if isinstance(found, CatalogTopic):
        raise ProgrammingError(
            f"{found.name} is a topic",
            sqlstate="42809",
            position=statement.name.position,
            hint="SHOW CREATE TOPIC shows it",
        )
    if found is None or session.names.own(statement.name) is not None:
        from .statements import run_query  # noqa: PLC0415

        return run_query(session, statement.body, parameters)
    definition = found.definition
    lines = [_column(column.field, column.default) for column in found.columns]
    if definition.primary_key:
        lines.append(f"    PRIMARY KEY ({_names(definition.primary_key)})")
    lines += [f"    UNIQUE ({_names(columns)})" for columns in definition.unique]
    is_global = definition.tenant is None and session.tenant is not None
    text = f"CREATE {'GLOBAL ' if is_global else ''}TABLE {found.name} (\n" + ",\n".join(lines) + "\n)"
    for index in definition.indexes:
        kind = "UNIQUE INDEX" if index.unique else "INDEX"
        text += f";\nCREATE {kind} {quote_identifier(index.name)} ON {found.name} ({_names(index.columns)})"
    return BatchResult.of(pa.table({"table": [found.name], "statement": [text]}))


def _column(field: pa.Field, default: str | None = None) -> str:
    comment = _comment(field)
    return (
        f"    {quote_identifier(field.name)} {sql_type(field.type)}"
        + ("" if field.nullable else " NOT NULL")
        + ("" if default is None else f" DEFAULT {default}")
        + ("" if comment is None else f" COMMENT {_text_literal(comment)}")
    )


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quote_identifier, columns))


def _text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
