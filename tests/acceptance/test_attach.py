"""ATTACH, DETACH, SHOW SOURCES, REFRESH SOURCE and remote_query, as a user meets them."""

from __future__ import annotations

import os
from pathlib import Path

import adbc_driver_sqlite.dbapi
import pytest

import jammi_sql
from jammi_sql import Connection, connect
from jammi_sql.errors import (
    DuplicateObject,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    UndefinedObject,
    UndefinedTable,
)

ANNA, BERT = "01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a", "01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9b"


def run(path: Path, *statements: str) -> None:
    """Statements on a SQLite file, as another program sends them."""
    connection = adbc_driver_sqlite.dbapi.connect(str(path))
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    run(
        path, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO item VALUES (1, 'nut'), (2, 'bolt')"
    )
    return path


@pytest.fixture
def conn(tmp_path: Path, shop: Path) -> Connection:
    connection = connect(tmp_path / "store")
    connection.execute("ATTACH ? AS shop", (f"sqlite:///{shop}",))
    return connection


def test_an_attachment_is_there_for_the_next_process(conn: Connection, tmp_path: Path) -> None:
    conn.close()
    with connect(tmp_path / "store") as again:
        assert again.execute("SELECT name FROM shop.main.item ORDER BY id").fetchall() == [("nut",), ("bolt",)]


def test_it_is_listed(conn: Connection, shop: Path) -> None:
    assert conn.execute("SHOW SOURCES").fetchall() == [("shop", "sqlite", f"sqlite:///{shop}")]
    view = conn.execute("SELECT name, type, uri, tenant, attached_at IS NOT NULL FROM jammi.system.sources").fetchall()
    assert view == [("shop", "sqlite", f"sqlite:///{shop}", None, True)]
    columns = "table_catalog, table_schema, table_name"
    found = conn.execute(f"SELECT {columns} FROM information_schema.tables WHERE table_catalog = 'shop'").fetchall()
    assert ("shop", "main", "item") in found


def test_get_objects_has_its_tables_and_columns(conn: Connection) -> None:
    found = conn.adbc_get_objects(depth="all", catalog_filter="shop").read_all().to_pylist()
    (catalog,) = found
    (schema,) = catalog["catalog_db_schemas"]
    (table,) = schema["db_schema_tables"]
    assert (schema["db_schema_name"], table["table_name"], table["table_type"]) == ("main", "item", "table")
    assert [column["column_name"] for column in table["table_columns"]] == ["id", "name"]
    assert conn.adbc_get_table_schema("item", catalog_filter="shop", db_schema_filter="main").names == ["id", "name"]


def test_a_source_that_is_gone_hides_nothing_else(conn: Connection, shop: Path) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    os.unlink(shop)
    conn.execute("REFRESH SOURCE shop")
    assert ("t",) in conn.execute("SELECT table_name FROM information_schema.tables").fetchall()
    catalogs = conn.adbc_get_objects(depth="tables").read_all().column("catalog_name").to_pylist()
    assert catalogs == ["jammi", "shop"]
    with pytest.raises(Error) as caught:
        conn.execute("SELECT * FROM shop.main.item")
    assert "shop" in str(caught.value)


def test_names_are_free_once_and_can_be_given_back(conn: Connection, shop: Path) -> None:
    with pytest.raises(DuplicateObject) as caught:
        conn.execute("ATTACH 'sqlite:///other.db' AS shop")
    assert caught.value.sqlstate == "42P07" and caught.value.position == 31
    conn.execute("ATTACH IF NOT EXISTS 'sqlite:///other.db' AS shop")
    assert conn.execute("SELECT count(*) FROM shop.main.item").fetchone() == (2,)
    conn.execute("DETACH shop")
    with pytest.raises(UndefinedTable):
        conn.execute("SELECT * FROM shop.main.item")
    with pytest.raises(UndefinedObject) as gone:
        conn.execute("DETACH shop")
    assert gone.value.sqlstate == "42704" and gone.value.position == 7
    conn.execute("DETACH IF EXISTS shop")
    conn.execute(f"ATTACH 'sqlite:///{shop}' AS shop")
    assert conn.execute("SELECT count(*) FROM shop.main.item").fetchone() == (2,)


@pytest.mark.parametrize("name", ["jammi", "system", "information_schema"])
def test_names_of_the_engines_own_are_refused(conn: Connection, name: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        conn.execute(f"ATTACH 'sqlite:///x' AS {name}")
    assert caught.value.sqlstate == "42939"


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'sqlite:///x' AS y (TYPE nonsense)",
        "ATTACH 'sqlite:///x' AS y (nonsense 1)",
        "ATTACH 'postgresql://user:pass@host/db' AS y",
        "ATTACH 'postgresql://host/db' AS y (password 'hunter2')",
        "ATTACH '' AS y",
    ],
)
def test_what_is_wrong_is_said_at_once_and_nothing_is_kept(conn: Connection, statement: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        conn.execute(statement)
    assert caught.value.position is not None and caught.value.hint
    assert "hunter2" not in str(caught.value) and "pass@" not in str(caught.value)
    assert [row[0] for row in conn.execute("SHOW SOURCES").fetchall()] == ["shop"]


def test_an_attachment_is_part_of_a_transaction(conn: Connection, shop: Path) -> None:
    conn.execute("BEGIN")
    conn.execute(f"ATTACH 'sqlite:///{shop}' AS second")
    assert conn.execute("SELECT count(*) FROM second.main.item").fetchone() == (2,)
    conn.execute("ROLLBACK")
    with pytest.raises(UndefinedTable):
        conn.execute("SELECT * FROM second.main.item")


def test_a_table_that_appears_later_is_found_and_a_new_column_after_refresh(conn: Connection, shop: Path) -> None:
    with pytest.raises(UndefinedTable):
        conn.execute("SELECT * FROM shop.main.later")
    run(shop, "CREATE TABLE later (a INTEGER)", "INSERT INTO later VALUES (7)")
    assert conn.execute("SELECT * FROM shop.main.later").fetchall() == [(7,)]
    assert conn.execute("SELECT * FROM shop.main.item").description[1][0] == "name"
    run(shop, "ALTER TABLE item ADD COLUMN price INTEGER")
    conn.execute("REFRESH SOURCE shop")
    assert [column[0] for column in conn.execute("SELECT * FROM shop.main.item").description] == ["id", "name", "price"]
    with pytest.raises(UndefinedObject):
        conn.execute("REFRESH SOURCE nope")


def test_a_tenants_sources_are_its_own(conn: Connection, shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE item (id INTEGER, name TEXT)", "INSERT INTO item VALUES (9, 'secret')")
    with conn.engine.session(ANNA) as anna, conn.engine.session(BERT) as bert:
        anna.execute("ATTACH ? AS shop", (f"sqlite:///{other}",))
        anna.execute("ATTACH ? AS mine", (f"sqlite:///{other}",))
        assert anna.execute("SELECT name FROM shop.main.item").fetchall() == [("secret",)]
        assert bert.execute("SELECT name FROM shop.main.item ORDER BY 1").fetchall() == [("bolt",), ("nut",)]
        assert [row[0] for row in bert.execute("SHOW SOURCES").fetchall()] == ["shop"]
        for statement in ("SELECT * FROM mine.main.item", "SELECT * FROM remote_query('mine', 'SELECT 1')"):
            with pytest.raises(Error) as caught:
                bert.execute(statement)
            assert str(other) not in str(caught.value)
        with pytest.raises(PermissionDenied) as denied:
            bert.execute("DETACH shop")
        assert denied.value.sqlstate == "42501"
        with pytest.raises(PermissionDenied):
            bert.execute("INSERT INTO shop.main.item VALUES (3, 'mine')")
        anna.execute("DETACH shop")
        assert anna.execute("SELECT count(*) FROM shop.main.item").fetchone() == (2,)


def test_a_session_that_changes_its_tenant_leaves_its_sources_behind(conn: Connection, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    run(other, "CREATE TABLE item (id INTEGER)", "INSERT INTO item VALUES (9)")
    conn.execute(f"SET tenant = '{ANNA}'")
    conn.execute("ATTACH ? AS mine", (f"sqlite:///{other}",))
    conn.execute("SELECT * FROM mine.main.item").fetchall()
    conn.execute(f"SET tenant = '{BERT}'")
    with pytest.raises(UndefinedTable):
        conn.execute("SELECT * FROM mine.main.item")


def test_remote_query_takes_parameters_and_says_what_is_wrong(conn: Connection) -> None:
    found = conn.execute("SELECT r.n FROM remote_query(?, ?) AS r", ("shop", "SELECT id + 1 AS n FROM item")).fetchall()
    assert sorted(found) == [(2,), (3,)]
    with pytest.raises(UndefinedObject) as unknown:
        conn.execute("SELECT * FROM remote_query('nope', 'SELECT 1')")
    assert unknown.value.position == 27
    with pytest.raises(Error) as wrong:
        conn.execute("SELECT * FROM remote_query('shop', 'SELEC 1')")
    assert isinstance(wrong.value, jammi_sql.ProgrammingError)
    with pytest.raises(InvalidParameter):
        conn.execute("SELECT * FROM remote_query('shop', 1)")


def test_an_unreadable_column_is_an_error_only_when_it_is_used(conn: Connection, shop: Path) -> None:
    run(shop, "CREATE TABLE odd (id INTEGER, n INTEGER)", "INSERT INTO odd VALUES (1, 'seven')")
    assert conn.execute("SELECT id FROM shop.main.odd").fetchall() == [(1,)]
    with pytest.raises(jammi_sql.DataError) as caught:
        conn.execute("SELECT n FROM shop.main.odd").fetchall()
    assert "column n" in str(caught.value) and "seven" not in str(caught.value)


def test_a_live_subscription_is_joined_with_a_source(conn: Connection) -> None:
    conn.execute("CREATE TOPIC sold (item BIGINT)")
    live = conn.execute(
        "SELECT i.name FROM subscribe('sold', from => 'earliest') AS s JOIN shop.main.item AS i ON i.id = s.item LIMIT 2"
    )
    conn.execute("INSERT INTO sold VALUES (2), (1)")
    assert sorted(live.fetchall()) == [("bolt",), ("nut",)]


def test_views_are_not_made_in_a_source(conn: Connection) -> None:
    with pytest.raises(FeatureNotSupported):
        conn.execute("CREATE VIEW shop.main.v AS SELECT 1 AS a")
    conn.execute("CREATE VIEW v AS SELECT name FROM shop.main.item WHERE id = 1")
    assert conn.execute("SELECT * FROM v").fetchall() == [("nut",)]


def test_a_closed_engine_lets_go_of_its_sources(conn: Connection) -> None:
    conn.execute("SELECT * FROM shop.main.item").fetchall()
    source = conn.engine.attachments.source(conn.engine.services.store, None, "shop")
    conn.close()
    with pytest.raises(Error):
        source.schemas()


def test_tables_of_a_source_may_be_called_like_the_relations_of_a_statement(tmp_path: Path) -> None:
    names = ("__small_1", "__local_1", "__pushed_1", "__table_1")
    for number, place in enumerate(("one", "two")):
        made = [f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, v TEXT)" for name in names]
        filled = [f"INSERT INTO {name} VALUES (1, '{place} {name}'), ({number + 2}, 'alone')" for name in names]
        run(tmp_path / f"{place}.db", *made, *filled)
    with connect(tmp_path / "store") as connection:
        for place in ("one", "two"):
            connection.execute(f"ATTACH 'sqlite:///{tmp_path / place}.db' AS {place}")
        connection.execute("CREATE TABLE own (id BIGINT PRIMARY KEY)")
        connection.execute("INSERT INTO own VALUES (1)")
        for left in names:
            for right in names:
                found = connection.execute(
                    f"SELECT a.v, b.v AS w FROM one.main.{left} AS a JOIN two.main.{right} AS b ON a.id = b.id"
                    f" JOIN own ON own.id = a.id LEFT JOIN two.main.__small_1 AS c ON c.id = b.id WHERE c.v <> ''"
                ).fetchall()
                assert found == [(f"one {left}", f"two {right}")]
