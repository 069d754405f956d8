"""Another Jammi server, attached: what lies in it is computed there, and changed there."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection, connect
from jammi_sql.errors import IntegrityError
from tests.servers.flight_sql import FlightSqlServer
from tests.servers.jammi import JammiServer

from .bothways import explained, pushed_and_not


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JammiServer]:
    """With a table and a topic of its own, and a folder attached as ``aside``, whose schema has the name of the server's own."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "files").mkdir()
    pq.write_table(pa.table({"id": [100, 200], "elsewhere": ["x", "y"]}), folder / "files" / "t.parquet")
    with connect(folder / "store") as own:
        own.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, s VARCHAR DEFAULT 'none', n INT)")
        own.execute("INSERT INTO t VALUES (1, 'Ä', 5), (2, 'b', -5), (3, NULL, NULL)")
        own.execute("CREATE TOPIC e (id BIGINT)")
        own.execute("INSERT INTO e VALUES (1), (1), (2)")
        own.execute("ATTACH ? AS aside", (str(folder / "files"),))
    with JammiServer(
        folder / "store", "--allow-files", f"{folder}/files/**", "--allow-files", f"{folder}/files"
    ) as found:
        yield found


@pytest.fixture
def far(server: JammiServer) -> Iterator[Connection]:
    """A session with the server attached as ``far``."""
    with connect() as connection:
        connection.execute("ATTACH ? AS far", (server.uri,))
        yield connection


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT upper(s) FROM far.public.t WHERE lower(s) = 'ä' AND n + 1 > 2", ["lower(", "upper(", " + 1)"]),
        ("SELECT t.s, count(*) FROM far.public.t JOIN far.public.e ON e.id = t.id GROUP BY 1", ["JOIN", "GROUP BY"]),
        ("SELECT id FROM far.public.t WHERE s ILIKE 'B%' OR regexp_like(s, '^[ä-ü]')", ["ILIKE", " ~ "]),
        ("SELECT id, s FROM far.public.t WHERE s ~ '^[a-c]' OR s !~* 'Ä+.z'", [" ~ ", " !~* "]),
        ("SELECT id, s, n FROM far.public.t ORDER BY n NULLS FIRST, s DESC LIMIT 2", ["LIMIT 2"]),
        ("SELECT id FROM far.public.t WHERE id NOT IN (SELECT id FROM far.public.e)", ["NOT IN"]),
    ],
)
def test_all_of_a_query_is_one_statement_there(far: Connection, text: str, parts: list[str]) -> None:
    plan = explained(far, text)
    assert [part for part in parts if part not in plan["source far"]] == []
    assert "computed here" not in plan
    pushed_and_not(far, text)


@pytest.mark.parametrize("call", ["random()", "now()", "to_timestamp(s)", "exp(n)", "current_tenant()"])
def test_what_depends_on_the_machine_or_the_session_is_computed_here(far: Connection, call: str) -> None:
    plan = explained(far, f"SELECT id, {call} AS x FROM far.public.t")
    assert plan["source far"].startswith('SELECT t1."')
    assert f"{call.partition('(')[0]}(" not in plan["source far"]


def test_a_schema_of_another_catalog_of_the_server_does_not_hide_its_own(far: Connection) -> None:
    assert far.execute("SELECT id FROM far.public.t ORDER BY id").fetchall() == [(1,), (2,), (3,)]
    assert far.execute("SELECT sum(id) FROM far.\"aside.public\".t WHERE elsewhere > 'a'").fetchall() == [(300,)]
    names = far.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'far'"
    ).fetchall()
    assert {("public", "t"), ("public", "e"), ("aside.public", "t")} <= set(names)


def test_without_a_dialect_columns_and_whole_numbers_are_asked_for(server: JammiServer) -> None:
    with connect() as connection:
        connection.execute("ATTACH ? AS far (dialect none)", (server.uri,))
        text = "SELECT s, count(*) FROM far.public.t WHERE id > 1 AND s <> 'x' GROUP BY s"
        plan = explained(connection, text)
        assert '."id" > 1)' in plan["source far"] and "GROUP BY" not in plan["source far"]
        assert pushed_and_not(connection, text) == [("b", 1)]


def test_it_is_changed_there(far: Connection) -> None:
    assert far.execute("INSERT INTO far.public.t VALUES (10, 'x', 1), (11, 'y', 2)").rowcount == 2
    assert far.execute("INSERT INTO far.public.t (id) VALUES (12)").rowcount == 1
    assert far.execute("UPDATE far.public.t SET s = upper(s), n = n + 1 WHERE id > 9 AND n > 0").rowcount == 2
    found = far.execute("SELECT id, s, n FROM far.public.t WHERE id > 9 ORDER BY id").fetchall()
    assert found == [(10, "X", 2), (11, "Y", 3), (12, "none", None)]
    with pytest.raises(IntegrityError) as caught:
        far.execute("INSERT INTO far.public.t SELECT id + 1, s, n FROM far.public.t WHERE id > 9")
    assert caught.value.sqlstate == "23505"
    assert far.execute("DELETE FROM far.public.t WHERE id > 9").rowcount == 3
    assert far.execute("CREATE TABLE far.public.made AS SELECT id, s FROM far.public.t").rowcount == 3
    far.execute("DROP TABLE far.public.made")


@pytest.fixture
def other() -> Iterator[FlightSqlServer]:
    """A server that says nothing that is known here."""
    with FlightSqlServer(
        "CREATE TABLE t (id BIGINT, s VARCHAR, d DECIMAL(10, 2), day DATE)",
        "INSERT INTO t VALUES (1, 'a', 1.5, '2024-02-29'), (-2, 'b', NULL, NULL), (NULL, NULL, 7, '1970-01-01')",
    ) as found:
        yield found


CONDITIONS = [
    "s = 'a'",
    "id > 0 AND s <> 'b'",
    "id = -2 OR id IS NULL",
    "NOT (id IN (1, 3, 5, 7))",
    "d > 1 AND day < DATE '2025-01-01'",
    "id > 1.5",
    "s LIKE 'a%' AND id < 9223372036854775807",
]


@pytest.mark.parametrize("option", ["", "(dialect duckdb)", "(dialect none)"])
def test_a_server_that_says_nothing_is_asked_for_what_the_attachment_permits(
    other: FlightSqlServer, option: str
) -> None:
    with connect() as connection:
        connection.execute(f"ATTACH ? AS it {option}", (other.uri,))
        for condition in CONDITIONS:
            pushed_and_not(connection, f"SELECT id, s, d FROM it.main.t WHERE {condition}")
        text = "SELECT day, sum(id) FROM it.main.t WHERE id > 0 GROUP BY day"
        pushed_and_not(connection, text)
        sent = explained(connection, text)["source it"]
        assert '."id" > 0)' in sent and ("GROUP BY" in sent) is ("duckdb" in option)


def test_identifiers_are_quoted_as_the_attachment_says(other: FlightSqlServer) -> None:
    with connect() as connection:
        connection.execute("ATTACH ? AS it (quote '`')", (other.uri,))
        assert "t1.`id` AS c0 FROM `main`.`t` AS t1" in explained(connection, "SELECT id FROM it.main.t")["source it"]
