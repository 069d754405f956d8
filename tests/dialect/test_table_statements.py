"""CREATE, ALTER, DROP and TRUNCATE TABLE, CREATE INDEX and DROP INDEX."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import (
    AlterTableAddColumn,
    AlterTableDropColumn,
    AlterTableRename,
    AlterTableRenameColumn,
    CreateIndex,
    CreateTable,
    CreateTableAs,
    DropIndex,
    DropTable,
    Name,
    Statement,
    TableColumn,
    TruncateTable,
)
from jammi_sql.errors import Error, FeatureNotSupported, ProgrammingError, StatementSyntaxError, UndefinedColumn

from .pairs import one, only, plain


def create(text: str) -> CreateTable:
    statement = one(text)
    assert isinstance(statement, CreateTable)
    return statement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CREATE TABLE t (a INT)",
            CreateTable(Name(("t",), 13), False, False, (TableColumn("a", plain("INT", 18), True, None, None, 16),), (), (), {}),
        ),
        (
            "CREATE GLOBAL MUTABLE TABLE IF NOT EXISTS s.\"T\" (\"A\" INT[] PRIMARY KEY) WITH (k = 'v', n = 1)",
            CreateTable(
                Name(("s", "T"), 42), True, True,
                (TableColumn("A", plain("INT[]", 53), False, None, None, 49),), ("A",), (), {"k": "v", "n": "1"},
            ),
        ),
        (
            "CREATE MUTABLE TABLE t (a INT, b INT NOT NULL, CONSTRAINT p PRIMARY KEY (b, a), UNIQUE (a), UNIQUE (a))",
            CreateTable(
                Name(("t",), 21), False, False,
                (
                    TableColumn("a", plain("INT", 26), False, None, None, 24),
                    TableColumn("b", plain("INT", 33), False, None, None, 31),
                ),
                ("b", "a"), (("a",),), {},
            ),
        ),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT DEFAULT 5 NOT NULL", AlterTableAddColumn(
            Name(("t",), 12), True, TableColumn("a", plain("INT", 41), False, plain("5", 53), None, 39))),
        ("ALTER TABLE s.t ADD a INT", AlterTableAddColumn(
            Name(("s", "t"), 12), False, TableColumn("a", plain("INT", 22), True, None, None, 20))),
        ("ALTER TABLE t DROP COLUMN IF EXISTS a", AlterTableDropColumn(Name(("t",), 12), "a", True, 36)),
        ("ALTER TABLE t DROP \"A\"", AlterTableDropColumn(Name(("t",), 12), "A", False, 19)),
        ("ALTER TABLE t RENAME COLUMN a TO b", AlterTableRenameColumn(Name(("t",), 12), "a", "b", 28, 33)),
        ("ALTER TABLE t RENAME a TO B", AlterTableRenameColumn(Name(("t",), 12), "a", "b", 21, 26)),
        ("ALTER TABLE t RENAME TO s.u", AlterTableRename(Name(("t",), 12), Name(("s", "u"), 24))),
        ("CREATE INDEX i ON t (a)", CreateIndex(Name(("i",), 13), Name(("t",), 18), ("a",), False, False, 21)),
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS s.i ON s.t (a ASC, \"B\")",
            CreateIndex(Name(("s", "i"), 34), Name(("s", "t"), 41), ("a", "B"), True, True, 46),
        ),
        ("DROP INDEX i", DropIndex(Name(("i",), 11), False)),
        ("DROP INDEX IF EXISTS s.i", DropIndex(Name(("s", "i"), 21), True)),
    ],
)  # fmt: skip
def test_the_definition_of_a_table_becomes_its_statement(text: str, expected: Statement) -> None:
    assert one(text) == expected


@pytest.mark.parametrize(
    ("definition", "nullable", "default", "comment", "primary_key", "unique"),
    [
        ("NULL", True, None, None, (), ()),
        ("NOT NULL DEFAULT 1 COMMENT 'x'", False, "1", "x", (), ()),
        ("COMMENT 'x' DEFAULT 1 NOT NULL", False, "1", "x", (), ()),
        ("DEFAULT 1 NULL", True, "1", None, (), ()),
        ("DEFAULT NULL NOT NULL", False, "NULL", None, (), ()),
        ("DEFAULT NULL", True, "NULL", None, (), ()),
        ("DEFAULT 1 IS NOT NULL NOT NULL", False, "1 IS NOT NULL", None, (), ()),
        ("DEFAULT NOT true NULL", True, "NOT true", None, (), ()),
        ("DEFAULT 1 NOT IN (2, 3) NOT NULL", False, "1 NOT IN (2, 3)", None, (), ()),
        ("DEFAULT f(1, (2), [3, 4]) UNIQUE", True, "f(1, (2), [3, 4])", None, (), (("a",),)),
        ("DEFAULT CASE WHEN 1 THEN NULL ELSE 'x' END COMMENT 'y'", True, "CASE WHEN 1 THEN NULL ELSE 'x' END", "y", (), ()),
        ("DEFAULT INTERVAL '1' DAY COMMENT 'y'", True, "INTERVAL '1' DAY", "y", (), ()),
        ("DEFAULT a.comment COMMENT 'y'", True, "a.comment", "y", (), ()),
        ("DEFAULT x COLLATE \"C\" PRIMARY KEY", False, "x COLLATE \"C\"", None, ("a",), ()),
        ("UNIQUE PRIMARY KEY NOT NULL", False, None, None, ("a",), (("a",),)),
        ("CONSTRAINT c NOT NULL CONSTRAINT d UNIQUE", False, None, None, (), (("a",),)),
    ],
)  # fmt: skip
def test_the_options_of_a_column_come_in_any_order(
    definition: str,
    nullable: bool,
    default: str | None,
    comment: str | None,
    primary_key: tuple[str, ...],
    unique: tuple[tuple[str, ...], ...],
) -> None:
    text = f"CREATE TABLE t (a INT {definition}, b INT)"
    statement = create(text)
    column = statement.columns[0]
    assert (column.nullable, column.comment) == (nullable, comment)
    assert column.default == (None if default is None else plain(default, text.index(default)))
    assert (statement.primary_key, statement.unique) == (primary_key, unique)
    assert statement.columns[1].name == "b"


def test_words_of_constraints_may_be_the_names_of_columns() -> None:
    statement = create("CREATE TABLE primary (unique INT, primary INT, check INT, constraint INT, key INT)")
    assert [column.name for column in statement.columns] == ["unique", "primary", "check", "constraint", "key"]


def test_a_table_takes_the_rows_of_a_query() -> None:
    statement = one("CREATE GLOBAL TABLE IF NOT EXISTS t WITH (k = v) AS SELECT ? FROM subscribe('u', until => 5)")
    assert isinstance(statement, CreateTableAs)
    assert (statement.name.parts, statement.is_global, statement.if_not_exists) == (("t",), True, True)
    assert statement.options == {"k": "v"}
    assert statement.query.body.text == 'SELECT $1 FROM "__subscribe_1" AS subscribe'
    assert len(statement.query.subscribes) == 1


def test_a_default_may_hold_a_parameter() -> None:
    parsed = only("CREATE TABLE t (a INT DEFAULT :x + 1)")
    assert isinstance(parsed.statement, CreateTable)
    default = parsed.statement.columns[0].default
    assert default is not None
    assert (default.text, parsed.parameters) == ("$x + 1", ("x",))


@pytest.mark.parametrize(
    ("text", "kind", "name", "if_exists"),
    [
        ("DROP TABLE s.t", DropTable, ("s", "t"), False),
        ("DROP TABLE IF EXISTS t RESTRICT", DropTable, ("t",), True),
        ("TRUNCATE TABLE t -- c", TruncateTable, ("t",), None),
    ],
)
def test_what_may_be_a_relation_of_datafusions_keeps_its_text(
    text: str, kind: type, name: tuple[str, ...], if_exists: bool | None
) -> None:
    statement = one(text)
    assert isinstance(statement, kind)
    assert isinstance(statement, DropTable | TruncateTable)
    assert statement.name.parts == name
    assert getattr(statement, "if_exists", None) is if_exists
    assert statement.body.body == plain(text, 0)


@pytest.mark.parametrize(
    ("text", "position", "error", "sqlstate"),
    [
        ("CREATE TABLE t (a INT, A INT)", 23, ProgrammingError, "42701"),
        ("CREATE TABLE t (a INT PRIMARY KEY, b INT PRIMARY KEY)", 41, ProgrammingError, "42P16"),
        ("CREATE TABLE t (a INT PRIMARY KEY, PRIMARY KEY (a))", 35, ProgrammingError, "42P16"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (b))", 36, UndefinedColumn, "42703"),
        ("CREATE TABLE t (PRIMARY KEY (b))", 29, UndefinedColumn, "42703"),
        ("CREATE TABLE t (a INT, UNIQUE (a, z), b INT)", 34, UndefinedColumn, "42703"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a, a))", 39, ProgrammingError, "42701"),
        ("CREATE TABLE t (a INT, UNIQUE (a, \"a\"))", 34, ProgrammingError, "42701"),
        ("CREATE TABLE t (a INT NULL PRIMARY KEY)", 16, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT NULL, PRIMARY KEY (a))", 41, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT NULL NOT NULL)", 27, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT NOT NULL NULL)", 31, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT DEFAULT 1 DEFAULT 2)", 32, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT COMMENT 'x' COMMENT 'x')", 34, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT UNIQUE UNIQUE)", 29, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT PRIMARY KEY PRIMARY KEY)", 34, StatementSyntaxError, "42601"),
        ("CREATE TABLE t (a INT CHECK (a > 0))", 22, FeatureNotSupported, "0A000"),
        ("CREATE TABLE t (a INT, CONSTRAINT c CHECK (a > 0))", 36, FeatureNotSupported, "0A000"),
        ("CREATE TABLE t (a INT REFERENCES u (a))", 22, FeatureNotSupported, "0A000"),
        ("CREATE TABLE t (a INT, FOREIGN KEY (a) REFERENCES u (a))", 23, FeatureNotSupported, "0A000"),
        ("CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY)", 22, FeatureNotSupported, "0A000"),
        ("CREATE TABLE t (a VARCHAR COLLATE \"C\")", 26, FeatureNotSupported, "0A000"),
        ("ALTER TABLE t ADD a INT PRIMARY KEY", 24, FeatureNotSupported, "0A000"),
        ("ALTER TABLE t ADD COLUMN a INT UNIQUE", 31, FeatureNotSupported, "0A000"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", 18, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (a DESC)", 23, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (a ASC NULLS FIRST)", 27, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (lower(a))", 21, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (a + 1)", 21, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t ((a))", 21, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (a) WHERE a > 1", 24, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t USING btree (a)", 20, FeatureNotSupported, "0A000"),
        ("CREATE INDEX i ON t (a, a)", 24, ProgrammingError, "42701"),
    ],
)  # fmt: skip
def test_what_a_table_cannot_have_is_refused_with_a_hint(
    text: str, position: int, error: type[Error], sqlstate: str
) -> None:
    with pytest.raises(error) as caught:
        one(text)
    assert (caught.value.position, caught.value.sqlstate) == (position, sqlstate)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("CREATE TABLE", 12, "the table's name"),
        ("CREATE TABLE t", 14, "the columns"),
        ("CREATE TABLE t ()", 16, "a column's name"),
        ("CREATE TABLE t (a)", 17, "a type"),
        ("CREATE TABLE t (a INT", 21, "or )"),
        ("CREATE TABLE t (a INT,)", 22, "a column's name"),
        ("CREATE TABLE t (a INT DEFAULT)", 29, "a default value"),
        ("CREATE TABLE t (a INT DEFAULT, b INT)", 29, "a default value"),
        ("CREATE TABLE t (a INT DEFAULT NOT NULL)", 30, "a default value"),
        ("CREATE TABLE t (a INT DEFAULT COMMENT 'x')", 30, "a default value"),
        ("CREATE TABLE t (a INT DEFAULT (1)", 33, "or )"),
        ("CREATE TABLE t (a INT DEFAULT (1", 32, ")"),
        ("CREATE TABLE t (a INT DEFAULT CASE WHEN 1)", 41, "END"),
        ("CREATE TABLE t (a INT COMMENT x)", 30, "the comment"),
        ("CREATE TABLE t (a INT PRIMARY)", 22, "NOT NULL"),
        ("CREATE TABLE t (a INT, PRIMARY KEY)", 34, "("),
        ("CREATE TABLE t (a INT, PRIMARY KEY ())", 36, "a column's name"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a)", 38, "or )"),
        ("CREATE TABLE t (a INT) x", 23, "the end"),
        ("CREATE TABLE t (a INT) AS SELECT 1", 23, "the end"),
        ("CREATE TABLE t AS", 17, "a query"),
        ("CREATE TABLE t WITH (k = v)", 27, "AS"),
        ("CREATE UNIQUE TABLE t (a INT)", 7, "TABLE, GLOBAL"),
        ("CREATE LOCAL TABLE t (a INT)", 7, "TABLE, GLOBAL"),
        ("ALTER TABLE t", 13, "ADD, DROP or RENAME"),
        ("ALTER TABLE t ALTER COLUMN a DROP DEFAULT", 14, "ADD, DROP or RENAME"),
        ("ALTER TABLE t ADD", 17, "a column's name"),
        ("ALTER TABLE t ADD a INT, ADD b INT", 23, "the end"),
        ("ALTER TABLE t DROP COLUMN a, b", 27, "the end"),
        ("ALTER TABLE t RENAME a b", 23, "TO"),
        ("ALTER TABLE t RENAME TO", 23, "the new name"),
        ("CREATE INDEX ON t (a)", 16, "ON"),
        ("CREATE INDEX i", 14, "ON"),
        ("CREATE INDEX i ON t", 19, "("),
        ("CREATE INDEX i ON t ()", 21, "a column's name"),
        ("CREATE INDEX i ON t (a", 22, "or )"),
        ("CREATE INDEX i ON t (a) x", 24, "the end"),
        ("DROP INDEX", 10, "the index's name"),
        ("DROP INDEX a, b", 12, "the end"),
        ("DROP TABLE", 10, "the table's name"),
        ("DROP TABLE a, b", 12, "the end"),
        ("TRUNCATE TABLE IF EXISTS t", 15, "the table's name"),
        ("TRUNCATE t CASCADE", 11, "the end"),
    ],
)  # fmt: skip
def test_a_malformed_definition_says_what_was_expected_where(text: str, position: int, expected: str) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        one(text)
    assert expected in caught.value.message
    assert caught.value.message.startswith("expected ")
    assert caught.value.position == position
    assert (caught.value.hint or "").startswith("write ")
