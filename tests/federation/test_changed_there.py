"""Sources that are not as they were, or not there: what a user sees of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Connection, connect
from jammi_sql.errors import OperationalError, ProgrammingError, UndefinedColumn, UndefinedTable
from jammi_sql.sources.postgres.source import PostgresSource
from tests.servers.postgres import PostgresServer


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    found = postgres.create_database()
    postgres.sql("CREATE TABLE t (id int8 PRIMARY KEY, s text, n int4); INSERT INTO t VALUES (1, 'a', 5)", found)
    yield found
    postgres.drop_database(found)


@pytest.fixture
def pg(postgres: PostgresServer, database: str, tmp_path: Path) -> Iterator[Connection]:
    """A session with the database attached as ``pg``, which has looked at its table."""
    (tmp_path / "password").write_text(postgres.password)
    with connect(tmp_path / "store") as connection:
        address = f"postgresql://postgres@127.0.0.1:{postgres.port}/{database}"
        connection.execute(f"ATTACH ? AS pg (password 'file:{tmp_path / 'password'}')", (address,))
        assert connection.execute("SELECT * FROM pg.public.t").fetchall() == [(1, "a", 5)]
        yield connection


def test_a_column_that_was_added_there_is_found(pg: Connection, postgres: PostgresServer, database: str) -> None:
    postgres.sql("ALTER TABLE t ADD z text DEFAULT 'z'", database)
    assert pg.execute("SELECT z FROM pg.public.t WHERE id = 1").fetchall() == [("z",)]
    assert pg.execute("UPDATE pg.public.t SET z = 'y'").rowcount == 1
    postgres.sql("ALTER TABLE t DROP s, DROP n", database)
    assert pg.execute("INSERT INTO pg.public.t VALUES (2, 'x')").rowcount == 1
    assert pg.execute("SELECT id, z FROM pg.public.t ORDER BY id").fetchall() == [(1, "y"), (2, "x")]


def test_a_column_that_was_dropped_there_is_an_error_once(
    pg: Connection, postgres: PostgresServer, database: str
) -> None:
    postgres.sql("ALTER TABLE t DROP s", database)
    with pytest.raises(UndefinedColumn) as caught:
        pg.execute("SELECT * FROM pg.public.t").fetchall()
    assert caught.value.hint and "run it again" in caught.value.hint
    assert pg.execute("SELECT * FROM pg.public.t").fetchall() == [(1, 5)]


def test_a_table_that_was_dropped_there_is_unknown_until_it_is_there_again(
    pg: Connection, postgres: PostgresServer, database: str
) -> None:
    postgres.sql("DROP TABLE t", database)
    for _ in range(2):
        with pytest.raises(UndefinedTable):
            pg.execute("SELECT * FROM pg.public.t").fetchall()
    postgres.sql("CREATE TABLE t AS SELECT 'new' AS other", database)
    assert pg.execute("SELECT * FROM pg.public.t").fetchall() == [("new",)]


def test_a_type_that_changed_there_is_an_error_once(pg: Connection, postgres: PostgresServer, database: str) -> None:
    postgres.sql("ALTER TABLE t ALTER n TYPE text", database)
    with pytest.raises(ProgrammingError) as caught:
        pg.execute("SELECT id FROM pg.public.t WHERE n > 3").fetchall()
    assert caught.value.sqlstate == "42883"
    assert pg.execute("SELECT n FROM pg.public.t").fetchall() == [("5",)]


def test_a_name_that_is_not_there_is_looked_for_again_and_no_more(
    pg: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    found = PostgresSource._relation

    def counted(source: PostgresSource, link: object, schema: str, name: str) -> object:
        asked.append(name)
        return found(source, link, schema, name)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresSource, "_relation", counted)
    with pytest.raises(UndefinedColumn):
        pg.execute("SELECT nope FROM pg.public.t")
    assert asked == ["t"]


@pytest.mark.parametrize(
    ("address", "options", "sqlstate"),
    [
        ("postgresql://postgres@127.0.0.1:{port}/{database}", "", "28000"),
        ("postgresql://postgres@127.0.0.1:{port}/{database}", "password 'env:NOT_THERE',", "28000"),
        ("postgresql://nobody@127.0.0.1:{port}/{database}", "password 'file:{secret}',", "28000"),
        ("postgresql://postgres@127.0.0.1:{port}/nowhere", "password 'file:{secret}',", "3D000"),
    ],
)
def test_who_is_not_let_in_is_told_why_and_waits_for_nothing(
    pg: Connection, postgres: PostgresServer, database: str, tmp_path: Path, address: str, options: str, sqlstate: str
) -> None:
    given = {"port": postgres.port, "database": database, "secret": tmp_path / "password"}
    text = f"ATTACH ? AS bad ({options.format(**given)} connect_timeout 1000)"
    pg.execute(text, (address.format(**given),))
    with pytest.raises(OperationalError) as caught:
        pg.execute("SELECT * FROM bad.public.t")
    assert caught.value.sqlstate == sqlstate and caught.value.hint
    assert postgres.password not in str(caught.value)


def test_a_source_that_cannot_be_reached_is_left_out_of_lists_and_asked_for_them_once(
    pg: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pg.execute("ATTACH 'postgresql://postgres@127.0.0.1:1/x' AS gone (connect_timeout 1000)")
    tried: list[str] = []
    opened = PostgresSource._open_database  # which connects

    def counted(source: PostgresSource, options: dict[str, str]) -> object:
        tried.append(source.definition.name)
        return opened(source, options)

    monkeypatch.setattr(PostgresSource, "_open_database", counted)
    text = "SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'pg' AND table_schema = 'public'"
    for _ in range(3):
        assert pg.execute(text).fetchall() == [(1,)]
    assert tried.count("gone") == 1
    assert [record.message for record in caplog.records if "gone" in record.message] != []
    pg.execute("REFRESH SOURCE gone")
    assert pg.execute(text).fetchall() == [(1,)]
    assert tried.count("gone") == 2


@pytest.mark.parametrize("undo", ["ROLLBACK", "ROLLBACK TO s"])
def test_a_source_whose_attachment_is_undone_is_closed(tmp_path: Path, undo: str) -> None:
    made = sqlite3.connect(tmp_path / "lite.db")
    made.execute("CREATE TABLE t (id INTEGER)")
    made.execute("INSERT INTO t VALUES (1)")
    made.commit()
    made.close()
    with connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SAVEPOINT s")
        connection.execute("ATTACH ? AS lite", (f"sqlite:///{tmp_path / 'lite.db'}",))
        assert connection.execute("SELECT id FROM lite.main.t").fetchall() == [(1,)]
        source = connection.engine.attachments._open["", "lite"][1]
        connection.execute(undo)
        assert connection.engine.attachments._open == {} and source._closed
        if undo != "ROLLBACK":
            connection.execute("COMMIT")
        connection.execute("ATTACH ? AS lite", (f"sqlite:///{tmp_path / 'lite.db'}",))
        assert connection.execute("SELECT id FROM lite.main.t").fetchall() == [(1,)]
