"""CREATE, ALTER, DROP and TRUNCATE TABLE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..errors import FeatureNotSupported, ProgrammingError, StatementSyntaxError, UndefinedColumn
from .clauses import read_default
from .columns import END_OF_TYPE, IGNORED, begins_constraint, type_span
from .cursor import Cursor
from .names import column_twice, read_names
from .options import read_options
from .query import read_query, rest_query
from .statements import (
    AlterTableAddColumn,
    AlterTableDropColumn,
    AlterTableRename,
    AlterTableRenameColumn,
    CreateTable,
    CreateTableAs,
    DropTable,
    Fragment,
    Statement,
    TableColumn,
    TruncateTable,
)

__all__ = ["alter_table", "create_table", "drop_table", "truncate_table"]

_TABLE = "the table's name"
_COLUMN = "a column's name"
_OPTIONS = "NOT NULL, DEFAULT, COMMENT 'text', PRIMARY KEY, UNIQUE"
# Words that end a default value. COLLATE is a part of one.
_END_OF_DEFAULT = (END_OF_TYPE - {"COLLATE"}) | {"FOREIGN"}
_REFUSED: Mapping[str, str] = {
    "CHECK": "check values where they are written",
    "FOREIGN": "look the other table up where rows are written, in the same transaction",
    "REFERENCES": "look the other table up where rows are written, in the same transaction",
    "COLLATE": "text is compared by its characters' numbers; use lower(column) in conditions",
    "GENERATED": "use DEFAULT, or compute the value where rows are read",
    "AS": "use DEFAULT, or compute the value where rows are read",
    **dict.fromkeys(
        IGNORED,
        "no column numbers its rows: DEFAULT uuid7() makes keys that rise, or count on from max(id) in the INSERT",
    ),
}


@dataclass(slots=True)
class _Definition:
    """A column, and what stands behind it that belongs to the table."""

    column: TableColumn
    is_null: bool  # NULL is written
    primary_key: int | None  # where it is written
    unique: int | None


@dataclass(slots=True)
class _Key:
    columns: tuple[str, ...]
    positions: tuple[int, ...]


@dataclass(slots=True)
class _Body:
    """What is between the parentheses of CREATE TABLE."""

    definitions: dict[str, _Definition] = field(default_factory=dict)
    primary_key: _Key | None = None
    unique: list[_Key] = field(default_factory=list)

    def add(self, definition: _Definition) -> None:
        column = definition.column
        if column.name in self.definitions:
            raise column_twice(column.name, column.position)
        self.definitions[column.name] = definition
        if definition.primary_key is not None:
            self.add_primary_key(_Key((column.name,), (column.position,)), definition.primary_key)
        if definition.unique is not None:
            self.unique.append(_Key((column.name,), (column.position,)))

    def add_primary_key(self, key: _Key, position: int) -> None:
        if self.primary_key is not None:
            raise ProgrammingError(
                "a table has one primary key",
                sqlstate="42P16",
                position=position,
                hint="name all of its columns in one PRIMARY KEY (a, b), and use UNIQUE (columns) for other keys",
            )
        self.primary_key = key

    def check(self) -> None:
        """Raise for a key with a column that is not there, or that may be NULL in the primary key."""
        for key in [*([self.primary_key] if self.primary_key else []), *self.unique]:
            for name, position in zip(key.columns, key.positions, strict=True):
                if name not in self.definitions:
                    raise UndefinedColumn(
                        f"the table has no column {name}",
                        position=position,
                        hint="its columns are " + ", ".join(self.definitions) if self.definitions else "define it",
                    )
                if key is self.primary_key and self.definitions[name].is_null:
                    raise StatementSyntaxError(
                        f"the column {name} is NULL and in the primary key",
                        position=position,
                        hint="leave NULL out: the columns of a primary key are NOT NULL",
                    )

    def columns(self) -> Iterable[TableColumn]:
        """The columns as they are defined, those of the primary key not nullable."""
        primary_key = self.primary_key.columns if self.primary_key else ()
        for definition in self.definitions.values():
            column = definition.column
            yield replace(column, nullable=False) if column.name in primary_key else column


def create_table(cursor: Cursor, *, is_global: bool) -> Statement:
    """After ``CREATE [GLOBAL] [MUTABLE] TABLE``."""
    cursor.grammar = (
        "CREATE [GLOBAL] [MUTABLE] TABLE [IF NOT EXISTS] name (column type [NOT NULL] [DEFAULT value] [COMMENT 'text'], "
        "... [, PRIMARY KEY (columns)] [, UNIQUE (columns)]) [WITH (key = value, ...)], "
        "or CREATE TABLE name [WITH (...)] AS query"
    )
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name(_TABLE)
    body = _body(cursor) if cursor.symbol() == "(" else None
    options = read_options(cursor) if cursor.accept("WITH") else {}
    if body is not None:
        cursor.finish()
        primary_key = body.primary_key.columns if body.primary_key else ()
        unique = tuple(dict.fromkeys(key.columns for key in body.unique))
        return CreateTable(name, is_global, if_not_exists, tuple(body.columns()), primary_key, unique, options)
    if not cursor.accept("AS"):
        raise cursor.error("AS and a query" if options else "the columns in parentheses, or AS and a query")
    return CreateTableAs(name, is_global, if_not_exists, options, rest_query(cursor))


def alter_table(cursor: Cursor) -> Statement:
    """After ``ALTER TABLE``."""
    cursor.grammar = (
        "ALTER TABLE name ADD [COLUMN] [IF NOT EXISTS] column type [NOT NULL] [DEFAULT value], "
        "DROP [COLUMN] [IF EXISTS] column, RENAME [COLUMN] column TO new_name or RENAME TO new_name"
    )
    name = cursor.name(_TABLE)
    statement: Statement
    if cursor.accept("ADD"):
        if begins_constraint(cursor):
            raise _added_later(cursor.position)
        cursor.accept("COLUMN")
        if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
        definition = _definition(cursor)
        for position in (definition.primary_key, definition.unique):
            if position is not None:
                raise _added_later(position)
        statement = AlterTableAddColumn(name, if_not_exists, definition.column)
    elif cursor.accept("DROP"):
        cursor.accept("COLUMN")
        if_exists = cursor.accept("IF", "EXISTS")
        position = cursor.position
        statement = AlterTableDropColumn(name, cursor.identifier(_COLUMN), if_exists, position)
    elif cursor.accept("RENAME", "TO"):
        statement = AlterTableRename(name, cursor.name("the new name"))
    elif cursor.accept("RENAME"):
        cursor.accept("COLUMN")
        position = cursor.position
        column = cursor.identifier(_COLUMN)
        cursor.expect("TO")
        new_position = cursor.position
        statement = AlterTableRenameColumn(name, column, cursor.identifier("the new name"), position, new_position)
    else:
        raise cursor.error("ADD, DROP or RENAME")
    cursor.finish()
    return statement


def drop_table(cursor: Cursor) -> Statement:
    """After ``DROP TABLE``."""
    cursor.grammar = "DROP TABLE [IF EXISTS] name"
    body = read_query(cursor)
    if_exists = cursor.accept("IF", "EXISTS")
    name = cursor.name(_TABLE)
    cursor.accept_any("CASCADE", "RESTRICT")  # nothing depends on a table but its indexes
    cursor.finish()
    return DropTable(name, if_exists, body)


def truncate_table(cursor: Cursor) -> Statement:
    """After ``TRUNCATE``."""
    cursor.grammar = "TRUNCATE TABLE name, or TRUNCATE TOPIC name BEFORE offset"
    body = read_query(cursor)
    if cursor.keyword() == "TABLE" and cursor.symbol(1) != ".":
        cursor.index += 1
    if cursor.at("IF", "EXISTS"):
        raise cursor.error(_TABLE)
    name = cursor.name(_TABLE)
    cursor.finish()
    return TruncateTable(name, body)


def _body(cursor: Cursor) -> _Body:
    body = _Body()
    cursor.expect_symbol("(")
    while True:
        if begins_constraint(cursor):
            _constraint(cursor, body)
        else:
            body.add(_definition(cursor))
        if not cursor.accept_symbol(","):
            break
    if cursor.symbol() != ")":
        raise cursor.error(f"{_OPTIONS}, a comma or )")
    cursor.expect_symbol(")")
    body.check()
    return body


def _constraint(cursor: Cursor, body: _Body) -> None:
    """``[CONSTRAINT name] PRIMARY KEY (columns)`` or ``UNIQUE (columns)``."""
    if cursor.accept("CONSTRAINT"):
        cursor.identifier("the constraint's name")
    position = cursor.position
    if cursor.keyword() in _REFUSED:
        raise _unsupported(cursor)
    if cursor.accept("PRIMARY"):
        cursor.expect("KEY")
        body.add_primary_key(_Key(*read_names(cursor)), position)
    else:
        cursor.expect("UNIQUE")
        body.unique.append(_Key(*read_names(cursor)))


def _definition(cursor: Cursor) -> _Definition:
    """``name type`` and, in any order and each once, NOT NULL or NULL, DEFAULT, COMMENT, PRIMARY KEY and UNIQUE."""
    position = cursor.position
    name = cursor.identifier(_COLUMN)
    type_text = cursor.rewriting.fragment(*type_span(cursor))
    places: dict[str, int] = {}
    default: Fragment | None = None
    comment: str | None = None
    while (token := cursor.peek()) is not None and token.keyword in END_OF_TYPE:
        if cursor.accept("CONSTRAINT"):
            cursor.identifier("the constraint's name")
        place = cursor.position
        option = _option(cursor)
        if option in places or {"NULL", "NOT NULL"} <= {option, *places}:
            raise _contradiction(name, option, place, is_repeated=option in places)
        places[option] = place
        if option == "DEFAULT":
            default = read_default(cursor, _END_OF_DEFAULT)
        elif option == "COMMENT":
            comment = cursor.string("the comment as '...'")
    column = TableColumn(name, type_text, "NOT NULL" not in places, default, comment, position)
    return _Definition(column, "NULL" in places, places.get("PRIMARY KEY"), places.get("UNIQUE"))


def _option(cursor: Cursor) -> str:
    """Step over the words of one of a column's options and return them."""
    for words in (("NOT", "NULL"), ("PRIMARY", "KEY"), ("NULL",), ("UNIQUE",), ("DEFAULT",), ("COMMENT",)):
        if cursor.accept(*words):
            return " ".join(words)
    if cursor.keyword() in _REFUSED:
        raise _unsupported(cursor)
    raise cursor.error(_OPTIONS)


def _contradiction(column: str, option: str, position: int, *, is_repeated: bool) -> StatementSyntaxError:
    what = f"has {option} twice" if is_repeated else "is both NULL and NOT NULL"
    return StatementSyntaxError(f"the column {column} {what}", position=position, hint="write each option once")


def _unsupported(cursor: Cursor) -> FeatureNotSupported:
    word = cursor.keyword()
    return FeatureNotSupported(f"a table takes no {word}", position=cursor.position, hint=_REFUSED[word])


def _added_later(position: int) -> FeatureNotSupported:
    return FeatureNotSupported(
        "a key cannot be added to a table",
        position=position,
        hint="use CREATE UNIQUE INDEX, or create the table anew with its key",
    )
