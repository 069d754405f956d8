"""CREATE, ALTER and DROP of companion tables and their indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import compose, format_identifier_path, quote_identifier, statements
from ..dialect.statements import ColumnDefinition, Fragment, Name, TableColumn
from ..errors import DuplicateObject, Error, InvalidParameter, UndefinedColumn, UndefinedObject
from ..plan.columns import columns_to_schema
from ..ports import Transaction
from ..results import CommandResult, Result
from ..tables.catalog import CatalogTable
from ..tables.definition import Index, MutableTableDefinition
from ..topics.definition import check_column_name
from .changes import CHANGED, TARGET, Change, change_schema, checked
from .live import bounded_relations
from .relations import inserted_relations
from .remote_changes import create_remote, remote_target
from .staging import RowsRelation, remaining, staging
from .topic_statements import check_own_free, owner

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "add_table_column",
    "create_index",
    "create_table",
    "create_table_as",
    "define_table",
    "drop_index",
    "drop_table",
    "drop_table_column",
    "rename_table",
    "rename_table_column",
]

Parameters = Mapping[str, pa.Scalar]


def define_table(
    session: Session,
    transaction: Transaction,
    name: Name,
    definition: MutableTableDefinition,
    *,
    must_be_new: bool,
) -> tuple[CatalogTable, bool]:
    """Register a table inside ``transaction``; errors get the name's position."""
    namespace, local_name = session.names.path(name)
    check_own_free(session, namespace, local_name, name.position)
    path = format_identifier_path((namespace, local_name))
    try:
        return session.engine.services.tables.register(
            transaction, replace(definition, name=path), must_be_new=must_be_new
        )
    except Error as error:
        if error.position is None:
            error.position = name.position
        raise


def create_table(session: Session, statement: statements.CreateTable, parameters: Parameters) -> Result:
    """CREATE TABLE with columns."""
    for column in statement.columns:
        check_column_name(column.name, column.position)
    schema = columns_to_schema([_definition(column) for column in statement.columns])
    defaults = {
        column.name: _default(session, column, schema.field(column.name))
        for column in statement.columns
        if column.default is not None
    }
    definition = MutableTableDefinition(
        "t", schema, statement.primary_key, owner(session, statement.is_global),
        unique=statement.unique, defaults=defaults, options=_options(statement.options),
    )  # fmt: skip
    if statement.if_not_exists and session.names.find_table(statement.name) is not None:
        return _kept(session, statement.name, definition)
    with session.scope.writing() as transaction:
        define_table(session, transaction, statement.name, definition, must_be_new=not statement.if_not_exists)
    return CommandResult()


def _kept(session: Session, name: Name, definition: MutableTableDefinition) -> Result:
    """IF NOT EXISTS of a table that exists: with the same columns nothing is done, with others it is a conflict."""
    with session.scope.writing() as transaction:
        define_table(session, transaction, name, definition, must_be_new=False)
    return CommandResult()


def _options(options: Mapping[str, str]) -> Mapping[str, str]:
    for key in options:
        raise InvalidParameter(f"a table has no option {key}", hint="leave WITH (...) out")
    return options


def _definition(column: TableColumn) -> ColumnDefinition:
    return ColumnDefinition(column.name, column.type_text, column.nullable, column.comment, column.position)


def _default(session: Session, column: TableColumn, field: pa.Field) -> str:
    """The default's text, tried once: it must be a value without columns that the column can take."""
    assert column.default is not None
    text = compose(f"INSERT INTO {quote_identifier(TARGET)} SELECT (", column.default, "\n) AS value")
    with session.queries.planned(frozenset()) as planning:
        target = RowsRelation(pa.schema([field.with_nullable(True)]))
        with inserted_relations(session.relations, {TARGET: target}):
            frame = session.queries.frame(planning, text, {})
            source = session.queries.frame_of(planning, frame.logical_plan().inputs()[0], session.world.context)
        table = session.queries.collect(source, planning, text)
    if table.num_rows != 1:
        raise InvalidParameter(
            f"the default of column {column.name} is not one value", position=column.default.origin(0), hint="give one"
        )
    return column.default.text.strip()


def create_table_as(session: Session, statement: statements.CreateTableAs, parameters: Parameters) -> Result:
    """CREATE TABLE ... AS: the table and its first rows in one transaction. Columns are nullable."""
    query = statement.query
    remote = remote_target(session, statement.name)
    if remote is not None:
        return create_remote(session, remote, query, parameters, if_not_exists=statement.if_not_exists)
    if statement.if_not_exists and session.names.find_table(statement.name) is not None:
        return CommandResult(0)
    with session.queries.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.queries.frame(planning, query.body, parameters, reads_only=True)
            planned = session.queries.schema_of(frame, planning, query.body)
            for column in planned.names:
                check_column_name(column, query.body.origin(0))
            schema = pa.schema([field.with_nullable(True).remove_metadata() for field in planned])
            rows = session.queries.run(frame, planning, query.body)
    local_name = statement.name.parts[-1]
    definition = MutableTableDefinition(
        "t", schema, (), owner(session, statement.is_global), options=_options(statement.options)
    )
    with staging(remaining(rows, session.running.check), schema, local_name, "table") as staged:
        with session.scope.writing() as transaction:
            table, is_new = define_table(
                session, transaction, statement.name, definition, must_be_new=not statement.if_not_exists
            )
            if not is_new:  # somebody was quicker: IF NOT EXISTS leaves theirs alone
                return CommandResult(0)
            count, _ = session.engine.services.rows.insert(
                transaction, table, session.tenant, checked(session, staged.batches())
            )
            return CommandResult(count)


def _altered(session: Session, name: Name, transaction: Transaction) -> CatalogTable:
    table = session.names.table(name, transaction)
    session.engine.services.tables.check_owner(table, session.tenant)
    return table


def add_table_column(session: Session, statement: statements.AlterTableAddColumn, parameters: Parameters) -> Result:
    """ALTER TABLE ... ADD COLUMN: the rows that are there get the default, computed for each."""
    column = statement.column
    check_column_name(column.name, column.position)
    field = columns_to_schema([_definition(column)]).field(0)
    default = None if column.default is None else _default(session, column, field)
    with session.scope.changing() as transaction:
        table = _altered(session, statement.name, transaction)
        if statement.if_not_exists and column.name in table.schema.names:
            return CommandResult()
        services = session.engine.services
        try:
            # Nullable at first: the rows that are there have nothing in it yet.
            wider = services.tables.add_column(transaction, table, field.with_nullable(True), default)
        except DuplicateObject as error:
            error.position = column.position
            raise
        if default is not None:
            _fill(session, transaction, wider, column.name, column.default or Fragment("NULL", ((0, 0),)))
        if not field.nullable:
            services.tables.require(transaction, wider, column.name)
    return CommandResult()


def _fill(session: Session, transaction: Transaction, table: CatalogTable, name: str, value: Fragment) -> None:
    """Compute a new column of all rows, whoever they belong to."""
    with session.queries.planned(frozenset()) as planning:
        change = Change(session, planning, table, "t", {}, {})
        change.add(CHANGED, session.relations.table_provider(table, planning, changing=True, every=True))
        query = compose(f"SELECT {change.row_id}, (", value, f'\n) AS "__set_0" FROM {change.rows}')
        staged = change.compute(query, change_schema(table, [name]))
    try:
        session.engine.services.rows.update(transaction, table, session.tenant, checked(session, staged.batches()))
    finally:
        staged.close()


def drop_table_column(session: Session, statement: statements.AlterTableDropColumn, parameters: Parameters) -> Result:
    """ALTER TABLE ... DROP COLUMN."""
    with session.scope.writing() as transaction:
        table = _altered(session, statement.name, transaction)
        if statement.if_exists and statement.column not in table.schema.names:
            return CommandResult()
        try:
            session.engine.services.tables.drop_column(transaction, table, statement.column)
        except Error as error:
            error.position = statement.position
            raise
    return CommandResult()


def rename_table_column(
    session: Session, statement: statements.AlterTableRenameColumn, parameters: Parameters
) -> Result:
    """ALTER TABLE ... RENAME COLUMN."""
    with session.scope.writing() as transaction:
        table = _altered(session, statement.name, transaction)
        try:
            session.engine.services.tables.rename_column(transaction, table, statement.column, statement.new_name)
        except UndefinedColumn as error:
            error.position = statement.position
            raise
        except Error as error:
            error.position = statement.new_position
            raise
    return CommandResult()


def rename_table(session: Session, statement: statements.AlterTableRename, parameters: Parameters) -> Result:
    """ALTER TABLE ... RENAME TO; a new name without a schema stays in the table's own."""
    with session.scope.writing() as transaction:
        table = _altered(session, statement.name, transaction)
        new_name = statement.new_name
        namespace, local_name = (
            (table.namespace, new_name.parts[0]) if len(new_name.parts) == 1 else session.names.path(new_name)
        )
        check_own_free(session, namespace, local_name, new_name.position)
        try:
            session.engine.services.tables.rename(transaction, table, namespace, local_name)
        except Error as error:
            error.position = new_name.position
            raise
    return CommandResult()


def drop_table(session: Session, statement: statements.DropTable, parameters: Parameters) -> Result:
    """DROP TABLE of a companion table."""
    with session.scope.writing() as transaction:
        table = _altered(session, statement.name, transaction)
        session.engine.services.tables.drop(transaction, table)
    return CommandResult()


def create_index(session: Session, statement: statements.CreateIndex, parameters: Parameters) -> Result:
    """CREATE [UNIQUE] INDEX."""
    tables = session.engine.services.tables
    if len(statement.name.parts) != 1:
        raise InvalidParameter(
            "an index is in the schema of its table", position=statement.name.position, hint="name it without a schema"
        )
    name = statement.name.parts[0]
    with session.scope.writing() as transaction:
        table = _altered(session, statement.table, transaction)
        existing = tables.find_index(transaction, session.tenant, table.namespace, name)
        if existing is not None and statement.if_not_exists:
            return CommandResult()
        try:
            tables.create_index(transaction, table, Index(name, statement.columns, statement.unique))
        except Error as error:
            if error.position is None:
                named = isinstance(error, DuplicateObject)
                error.position = statement.name.position if named else statement.position
            raise
    return CommandResult()


def drop_index(session: Session, statement: statements.DropIndex, parameters: Parameters) -> Result:
    """DROP INDEX."""
    tables = session.engine.services.tables
    namespace, name = session.names.path(statement.name)
    with session.scope.writing() as transaction:
        found = tables.find_index(transaction, session.tenant, namespace, name)
        if found is None:
            if statement.if_exists:
                return CommandResult()
            raise UndefinedObject(
                f"index {name} does not exist", position=statement.name.position, hint="use IF EXISTS"
            )
        tables.check_owner(found[0], session.tenant)
        try:
            tables.drop_index(transaction, found[0], name)
        except UndefinedObject:  # somebody else was quicker
            if not statement.if_exists:
                raise
    return CommandResult()
