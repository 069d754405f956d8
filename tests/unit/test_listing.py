"""What a list of the catalogue costs: the same few statements of the store, however many topics there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import Connection, Engine
from jammi_sql.engine.listing import ListedRelation, Listing
from jammi_sql.engine.topic_provider import TopicProvider
from jammi_sql.errors import InternalError
from jammi_sql.stores.sqlite_connection import SqliteConnection

TENANT = "7f1e6c7e-3a53-4c55-8d1a-0a2f3c1d9b11"
KEEPERS = {"jammi-retention", "jammi-segments", "jammi-caches", "jammi-head-watch"}
OWN = "table_schema NOT IN ('system', 'information_schema')"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path, compaction=False) as opened:
        yield opened


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.session() as opened:
        yield opened


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of the store, as they are run; those of the background are not among them."""
    run: list[str] = []
    query = SqliteConnection.query

    def counted(self: SqliteConnection, named: Any, *given: Any) -> Any:
        if threading.current_thread().name not in KEEPERS:
            run.append(named.name)
        return query(self, named, *given)

    monkeypatch.setattr(SqliteConnection, "query", counted)
    return run


def make_topics(conn: Connection, numbers: range) -> None:
    with conn.transaction():
        for number in numbers:
            conn.execute(f"CREATE TOPIC s{number % 3}.t{number} (a BIGINT NOT NULL, b VARCHAR)")


def relations(sql: str) -> str:
    return f"SELECT count(*) FROM information_schema.{sql} WHERE {OWN}"


def shipped(name: str) -> str:
    return (resources.files("jammi_sql.sql") / "console" / name).read_text(encoding="utf-8")


LISTS: dict[str, Callable[[Connection], Any]] = {
    "tables": lambda conn: conn.execute(relations("tables")).fetchone(),
    "columns": lambda conn: conn.execute(relations("columns")).fetchone(),
    "columns of one": lambda conn: conn.execute(f"{relations('columns')} AND table_name = 't1'").fetchone(),
    "both": lambda conn: conn.execute(
        "SELECT count(*) FROM information_schema.tables t JOIN information_schema.columns c"
        f" USING (table_schema, table_name) WHERE t.{OWN}"
    ).fetchone(),
    "views": lambda conn: conn.execute("SELECT count(*) FROM information_schema.views").fetchone(),
    "SHOW TABLES": lambda conn: conn.execute("SHOW TABLES").fetchall(),
    "SHOW TOPICS": lambda conn: conn.execute("SHOW TOPICS").fetchall(),
    "\\d": lambda conn: conn.execute(shipped("relations.sql")).fetchall(),
    "\\dt": lambda conn: conn.execute(shipped("tables.sql")).fetchall(),
    "objects": lambda conn: conn.adbc_get_objects(depth="all").read_all(),
    "objects to schemas": lambda conn: conn.adbc_get_objects(depth="db_schemas").read_all(),
}


@pytest.mark.parametrize("what", LISTS)
def test_a_list_takes_as_many_statements_of_the_store_for_many_topics_as_for_few(
    conn: Connection, statements: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a list made a provider of a topic")

    monkeypatch.setattr(TopicProvider, "__init__", refuse)
    ask = LISTS[what]
    counts = []
    for numbers in (range(3), range(3, 15)):
        make_topics(conn, numbers)
        ask(conn)  # whose schemas are not known yet
        statements.clear()
        ask(conn)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 12


def test_lists_in_one_statement_agree(conn: Connection) -> None:
    make_topics(conn, range(5))
    conn.execute("CREATE TABLE companion (id BIGINT PRIMARY KEY)")
    conn.execute("CREATE CACHED TABLE s1.cached AS SELECT 1 AS x WITH (refresh = 'manual')")
    conn.execute("CREATE VIEW v AS SELECT a FROM s0.t0")
    found = conn.execute(
        "SELECT t.table_schema, t.table_name, t.table_type, string_agg(c.column_name, ' ' ORDER BY c.ordinal_position)"
        " FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name)"
        f" WHERE t.{OWN} GROUP BY 1, 2, 3 ORDER BY 1, 2"
    ).fetchall()
    engine_columns = "_offset _row_idx _produced_at _tenant_id"
    assert found == [
        ("public", "companion", "BASE TABLE", "id"),
        ("public", "v", "VIEW", "a"),
        ("s0", "t0", "BASE TABLE", f"{engine_columns} a b"),
        ("s0", "t3", "BASE TABLE", f"{engine_columns} a b"),
        ("s1", "cached", "BASE TABLE", "x"),
        ("s1", "t1", "BASE TABLE", f"{engine_columns} a b"),
        ("s1", "t4", "BASE TABLE", f"{engine_columns} a b"),
        ("s2", "t2", "BASE TABLE", f"{engine_columns} a b"),
    ]


def test_a_list_is_that_of_its_tenant_and_transaction(engine: Engine, conn: Connection) -> None:
    text = f"SELECT table_name FROM information_schema.tables WHERE {OWN} ORDER BY 1"
    conn.execute("CREATE TOPIC everybodys (a INT)")
    with engine.session(TENANT) as other:
        other.execute("CREATE TABLE everybodys (mine BIGINT)")
        other.execute("BEGIN")
        other.execute("CREATE TOPIC unseen (a INT)")
        assert other.execute(text).fetchall() == [("everybodys",), ("unseen",)]
        columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'everybodys'"
        assert other.execute(columns).fetchall() == [("mine",)]
        assert conn.execute(text).fetchall() == [("everybodys",)]
        other.execute("ROLLBACK")
        assert other.execute(text).fetchall() == [("everybodys",)]


def test_a_list_shows_what_changed_since_the_last_one(conn: Connection) -> None:
    text = "SELECT column_name FROM information_schema.columns WHERE table_name = 't' AND column_name NOT LIKE '\\_%'"
    conn.execute("CREATE TOPIC t (a INT)")
    assert conn.execute(text).fetchall() == [("a",)]
    conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    assert conn.execute(text).fetchall() == [("a",), ("b",)]
    conn.execute("DROP TOPIC t")
    assert conn.execute(text).fetchall() == []


class Found:
    """What a listing looks up, and how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Mapping[str, Mapping[str, pa.Schema]]:
        self.times += 1
        column = pa.field(f"seen_{self.times}", pa.int64())
        return {"s": {"b": pa.schema([column]), "a": pa.schema([column])}, "z": {"c": pa.schema([column])}}


def test_schemas_that_are_listed_one_after_the_other_are_looked_up_once() -> None:
    found = Found()
    listing = Listing(found)
    listing.begin()
    assert [listing.names("s"), listing.names("z")] == [["a", "b"], ["c"]]
    assert found.times == 1
    relation = listing.relation("z", "c")
    assert relation is not None
    assert relation.schema.names == ["seen_1"]


def test_a_schema_without_relations_makes_nobody_look_again() -> None:
    found = Found()
    listing = Listing(found)
    listing.begin()
    assert [listing.names("s"), listing.names("empty"), listing.names("z")] == [["a", "b"], [], ["c"]]
    assert found.times == 1


def test_what_is_listed_again_is_looked_up_again() -> None:
    found = Found()
    listing = Listing(found)
    listing.names("s")
    listing.names("s")
    assert found.times == 2
    listing.begin()
    listing.names("z")
    assert found.times == 3


def test_a_relation_is_handed_out_once_and_only_of_the_schema_listed_last() -> None:
    listing = Listing(Found())
    listing.names("s")
    assert listing.relation("s", "a") is not None
    assert listing.relation("s", "a") is None
    assert listing.relation("z", "b") is None
    assert listing.relation("s", "unknown") is None
    listing.names("z")
    assert listing.relation("s", "b") is None
    assert listing.relation("z", "c") is not None


def test_a_thread_gets_nothing_of_what_another_one_listed() -> None:
    listing = Listing(Found())
    listing.names("s")
    there: list[object] = []
    thread = threading.Thread(target=lambda: there.append(listing.relation("s", "a")))
    thread.start()
    thread.join()
    assert there == [None]
    assert listing.relation("s", "a") is not None


def test_a_relation_that_is_only_listed_cannot_be_read() -> None:
    with pytest.raises(InternalError):
        ListedRelation(pa.schema([("a", pa.int64())])).scanner()
