"""Who may do what: tokens, tenants, files, limits."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as flightsql
import grpc
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from adbc_driver_manager import Error, ProgrammingError

import jammi_sql
from jammi_sql.errors import InvalidParameter, OperationalError
from jammi_sql.flight.files import AllowedFiles
from jammi_sql.flight.identity import Identities, basic_token, bearer_token
from jammi_sql.flight.protocol import flight
from tests.flight.test_statements import rows, run
from tests.flight.test_transactions import Raw
from tests.servers.jammi import JammiServer
from tests.topic_support import TENANT_A, TENANT_B, until

TOKENS = f"""
# who comes
alpha {TENANT_A}
beta {TENANT_B}
nobody -
root admin
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files: some that clients may reach, and some that they may not."""
    place = tmp_path_factory.mktemp("files")
    (place / "open" / "deep").mkdir(parents=True)
    (place / "shut").mkdir()
    table = pa.table({"a": [1, 2]})
    for path in ("open/a.parquet", "open/deep/b.parquet", "shut/c.parquet"):
        pa.parquet.write_table(table, place / path)
    pa.csv.write_csv(table, place / "open" / "rows.csv")
    (place / "open" / "link.parquet").symlink_to(place / "shut" / "c.parquet")
    (place / "shut" / "secret").write_text("hush")
    return place


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(TOKENS)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, folder: Path, tokens: Path) -> Iterator[JammiServer]:
    """A server with identities."""
    arguments = ("--token-file", str(tokens), "--allow-files", f"{folder}/open/**", "--memory-limit", str(64 << 20))
    with JammiServer(
        tmp_path_factory.mktemp("guarded") / "store",
        *arguments,
        "--statement-timeout",
        "3",
        "--log-format",
        "json",
        "--max-message",
        "1000000",
    ) as server:
        yield server


@pytest.fixture
def alpha(guarded: JammiServer) -> Iterator[Any]:
    with guarded.connect(token="alpha") as client:
        yield client


def test_the_tenant_is_that_of_the_token(guarded: JammiServer, alpha: Any, name: str) -> None:
    run(alpha, f"CREATE TABLE {name} (v BIGINT)")
    run(alpha, f"INSERT INTO {name} VALUES (1)")
    assert rows(alpha, "SHOW tenant") == [(str(TENANT_A),)]
    with guarded.connect(token="beta") as beta, guarded.connect(token="nobody") as nobody:
        for other in (beta, nobody):
            with pytest.raises(ProgrammingError, match="42P01"):
                rows(other, f"SELECT * FROM {name}")
            tables = other.adbc_get_objects(table_name_filter=name).read_all().to_pylist()
            assert [
                schema["db_schema_tables"] for schema in tables[0]["catalog_db_schemas"] if schema["db_schema_tables"]
            ] == []
        run(beta, f"CREATE TABLE {name} (other VARCHAR)")
    assert rows(alpha, f"SELECT * FROM {name}") == [(1,)]


@pytest.mark.parametrize("text", [f"SET tenant = '{TENANT_B}'", "RESET tenant"])
def test_the_tenant_cannot_be_chosen(alpha: Any, text: str) -> None:
    with pytest.raises(Error, match="42501"):
        run(alpha, text)
    assert rows(alpha, "SHOW tenant") == [(str(TENANT_A),)]


def test_a_header_says_nothing_of_the_tenant(guarded: JammiServer) -> None:
    headers = {
        f"adbc.flight.sql.rpc.call_header.{each}": str(TENANT_B) for each in ("tenant", "x-tenant", "x-jammi-tenant")
    }
    with guarded.connect(token="alpha", **headers) as client:
        assert rows(client, "SHOW tenant") == [(str(TENANT_A),)]


def test_a_session_of_another_identity_cannot_be_taken_over(guarded: JammiServer, alpha: Any) -> None:
    rows(alpha, "SELECT 1")
    with guarded.connect(token="beta", **{"adbc.flight.sql.rpc.with_cookie_middleware": "true"}) as beta:
        assert rows(beta, "SHOW tenant") == [(str(TENANT_B),)]


def test_an_admin_chooses_the_tenant(guarded: JammiServer) -> None:
    with guarded.connect(token="root") as root:
        assert rows(root, "SHOW tenant") == [(None,)]
        run(root, f"SET tenant = '{TENANT_A}'")
        assert rows(root, "SHOW tenant") == [(str(TENANT_A),)]


@pytest.mark.parametrize("token", ["wrong", "", f"{TENANT_A}", "cert:somebody"])
def test_who_is_not_known_is_not_let_in(guarded: JammiServer, token: str) -> None:
    with pytest.raises(Error, match="28000"), guarded.connect(token=token) as client:
        rows(client, "SELECT 1")


def test_a_user_with_the_token_as_password_is_let_in(guarded: JammiServer) -> None:
    with flightsql.connect(guarded.uri, db_kwargs={"username": "anybody", "password": "alpha"}) as client:
        assert rows(client, "SHOW tenant") == [(str(TENANT_A),)]
    with pytest.raises(Error, match="28000"):
        flightsql.connect(guarded.uri, db_kwargs={"username": "anybody", "password": "wrong"}).cursor().execute(
            "SELECT 1"
        )


def test_two_credentials_in_one_call_are_refused(guarded: JammiServer) -> None:
    with grpc.insecure_channel(guarded.uri.removeprefix("grpc://")) as channel:
        actions = channel.unary_stream("/arrow.flight.protocol.FlightService/ListActions")
        metadata = (("authorization", "Bearer alpha"), ("authorization", "Bearer root"))
        with pytest.raises(grpc.RpcError) as caught:
            list(actions(b"", metadata=metadata))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        names = {flight.ActionType.FromString(each).type for each in actions(b"", metadata=metadata[:1])}
    assert {"BeginTransaction", "CancelFlightInfo", "SetSessionOptions"} <= names


def test_sighup_reads_the_tokens_again(guarded: JammiServer, tokens: Path, name: str) -> None:
    with pytest.raises(Error, match="28000"), guarded.connect(token="gamma") as client:
        rows(client, "SELECT 1")
    try:
        tokens.write_text(TOKENS + "gamma -\n")
        guarded.process.send_signal(signal.SIGHUP)
        until(lambda: "read again" in guarded.log, "the file was read")
        with guarded.connect(token="gamma") as client:
            assert rows(client, "SELECT 1") == [(1,)]
        tokens.write_text("a line of too many words\n")
        guarded.process.send_signal(signal.SIGHUP)
        until(lambda: "stays as it was" in guarded.log, "the file was refused")
        with guarded.connect(token="gamma") as client:
            run(client, f"CREATE TOPIC {name} (v BIGINT)")
        with grpc.insecure_channel(guarded.uri.removeprefix("grpc://")) as channel:
            raw = Raw(channel, ("authorization", "Bearer gamma"))
            info = raw.info(f"SELECT v FROM subscribe('{name}')")
            stream = raw.stream("DoGet", info.endpoint[0].ticket, flight.FlightData)
            assert next(stream).data_header
            tokens.write_text(TOKENS)
            guarded.process.send_signal(signal.SIGHUP)
            with pytest.raises(grpc.RpcError):  # who is nobody any more hears no more
                next(stream)
    finally:
        tokens.write_text(TOKENS)
    assert "gamma" not in guarded.log


def test_a_tenant_sees_and_kills_its_own_statements_alone(guarded: JammiServer, alpha: Any, name: str) -> None:
    def lives(client: Any) -> list[Any]:
        return rows(
            client, f"SELECT id, tenant FROM jammi.system.queries WHERE state = 'live' AND statement LIKE '%{name}'"
        )

    with guarded.connect(token="root") as root, guarded.connect(token="beta") as beta:
        run(root, f"CREATE GLOBAL TOPIC {name} (v BIGINT)")
        cursors = [client.cursor() for client in (alpha, beta, root)]
        for cursor in cursors:
            cursor.execute(f"SELECT v FROM subscribe('{name}') -- {name}")
        (mine, tenant), (theirs, _), (roots, nothing) = (lives(client)[0] for client in (alpha, beta, root))
        assert (tenant, nothing) == (str(TENANT_A), None) and len({mine, theirs, roots}) == 3
        assert [len(lives(client)) for client in (alpha, beta, root)] == [1, 1, 1]
        assert {row[0] for row in rows(alpha, "SELECT tenant FROM jammi.system.sessions")} == {str(TENANT_A)}
        with guarded.connect(token="nobody") as nobody:  # whom an admin's statements are no business of
            assert lives(nobody) == []
            assert rows(nobody, "SELECT * FROM jammi.system.subscriptions") == []
            for client, other in ((alpha, theirs), (alpha, roots), (nobody, roots), (nobody, mine)):
                with pytest.raises(Error, match="42704"):
                    run(client, f"KILL '{other}'")
        run(root, f"SET tenant = '{TENANT_B}'")
        assert lives(root) == [(theirs, str(TENANT_B))]
        run(root, f"KILL '{theirs}'")
        run(alpha, f"KILL '{mine}'")
        assert lives(alpha) == lives(beta) == []
        for cursor in cursors[:2]:
            with pytest.raises(Exception, match="57014"):
                next(cursor.fetch_record_batch())
        cursors[2].adbc_cancel()
        for cursor in cursors:
            cursor.close()


# --- files ---


def test_files_that_are_open_are_read(alpha: Any, folder: Path, name: str) -> None:
    assert rows(alpha, f"SELECT sum(a) FROM '{folder}/open/a.parquet'") == [(3,)]
    assert rows(alpha, f"SELECT sum(a) FROM '{folder}/open/rows.csv'") == [(3,)]
    run(alpha, f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{folder}/open/a.parquet'")
    assert rows(alpha, f"SELECT sum(a) FROM {name}") == [(3,)]
    run(alpha, f"COPY (SELECT 9 AS a) TO '{folder}/open/{name}.parquet'")
    assert rows(alpha, f"SELECT a FROM '{folder}/open/{name}.parquet'") == [(9,)]
    run(alpha, f"CREATE TABLE {name}c (a BIGINT)")
    assert run(alpha, f"COPY {name}c FROM '{folder}/open/rows.csv' (FORMAT csv)") == 2
    run(alpha, f"ATTACH '{folder}/open/deep' AS {name}d")
    assert rows(alpha, f"SELECT sum(a) FROM {name}d.public.b") == [(3,)]
    os.unlink(folder / "open" / f"{name}.parquet")


def test_attached_sources_are_catalogs(alpha: Any, folder: Path, name: str) -> None:
    run(alpha, f"ATTACH '{folder}/open/deep' AS {name}")
    run(alpha, f"ATTACH 'postgresql://127.0.0.1:1/x' AS {name}_gone (connect_timeout '1')")
    objects = alpha.adbc_get_objects(catalog_filter=name).read_all().to_pylist()
    (catalog,) = [each for each in objects if each["catalog_name"] == name]
    (schema,) = catalog["catalog_db_schemas"]
    (table,) = schema["db_schema_tables"]
    assert (schema["db_schema_name"], table["table_name"], table["table_type"]) == ("public", "b", "table")
    assert [column["column_name"] for column in table["table_columns"]] == ["a"]
    assert alpha.adbc_get_table_schema("b", catalog_filter=name, db_schema_filter="public").names == ["a"]
    everything = alpha.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    schemas = {each["catalog_name"]: len(each["catalog_db_schemas"]) for each in everything}
    assert schemas[name] == 1 and schemas["jammi"] > 1 and schemas[f"{name}_gone"] == 0
    run(alpha, f"DETACH {name}_gone")


SHUT = [
    "SELECT * FROM '{folder}/shut/c.parquet'",
    "SELECT * FROM \"{folder}/shut/c.parquet\"",
    "SELECT * FROM jammi.public.\"{folder}/shut/c.parquet\"",
    "SELECT * FROM '{folder}/open/../shut/c.parquet'",
    "SELECT * FROM '{folder}/open/link.parquet'",
    "SELECT * FROM 'file://{folder}/shut/c.parquet'",
    "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{folder}/shut/c.parquet'",
    "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{folder}/open/link.parquet'",
    "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{folder}/open/'",
    "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION E'{folder}/shut/c.parquet'",
    "PREPARE p AS CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{folder}/shut/c.parquet'",
    "COPY (SELECT 1 AS a) TO '{folder}/shut/new.parquet'",
    "COPY (SELECT 1 AS a) TO '{folder}/open/../shut/new.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{folder}/shut/new.parquet'",
    "COPY t FROM '{folder}/shut/c.parquet' (FORMAT parquet)",
    "COPY t FROM '{folder}/open/link.parquet' (FORMAT parquet)",
    "ATTACH '{folder}/shut' AS s",
    "ATTACH '{folder}/shut/*.parquet' AS s",
    "ATTACH '{folder}/shut/x.db' AS s (TYPE sqlite)",
    "ATTACH 'sqlite:///{folder}/shut/x.db' AS s",
    "ATTACH 'duckdb:///{folder}/shut/x.db' AS s",
    "ATTACH 'anything' AS s (TYPE adbc, driver 'adbc_driver_sqlite')",
    "ATTACH 'postgresql://127.0.0.1:1/x' AS s (password 'env:PATH')",
    "ATTACH 'postgresql://127.0.0.1:1/x' AS s (password 'file:{folder}/shut/secret')",
    "ATTACH 'postgresql://127.0.0.1:1/x' AS s (sslrootcert '{folder}/shut/secret')",
    "ATTACH 'postgresql:///x' AS s",
    "ATTACH 'postgresql://user@/x' AS s",
    "ATTACH 'postgresql://%2Frun%2Fpostgresql/x' AS s",
    "ATTACH 'postgresql://%40abstract/x' AS s",
    "ATTACH 'postgresql://127.0.0.1:1,/x' AS s",
    "ATTACH 'postgresql://127.0.0.1:1/x?host=/run/postgresql' AS s",
    "ATTACH 'postgresql://127.0.0.1:1/x?passfile=/etc/hosts' AS s",
    "ATTACH 'postgresql://127.0.0.1:1/x?service=other' AS s",
    "ATTACH 'postgresql://127.0.0.1:1/x#?host=/run/postgresql' AS s",
    "ATTACH 'host=/run/postgresql' AS s (TYPE postgres)",
    "ATTACH 'postgresql://127.0.0.1:1/x' AS s (ambient 'true')",
    "CREATE CACHED TABLE x AS SELECT * FROM '{folder}/shut/c.parquet'",
    "SET datafusion.runtime.memory_limit = '100G'",
]  # fmt: skip


@pytest.mark.parametrize("text", SHUT)
def test_what_is_not_open_is_refused(alpha: Any, folder: Path, text: str) -> None:
    run(alpha, "CREATE TABLE IF NOT EXISTS t (a BIGINT)")
    with pytest.raises(Error) as caught:
        rows(alpha, text.format(folder=folder))
    assert "42501" in str(caught.value)
    assert not (folder / "shut" / "new.parquet").exists()


def test_execute_of_a_prepared_copy_writes_nothing(alpha: Any, folder: Path) -> None:
    with pytest.raises(Error):
        run(alpha, f"PREPARE evil AS COPY (SELECT 1 AS a) TO '{folder}/shut/new.parquet'")
        rows(alpha, "EXECUTE evil")
    assert not (folder / "shut" / "new.parquet").exists()


def test_without_allow_files_none_is_open(client: Any, folder: Path) -> None:
    with pytest.raises(Error, match="42501"):
        rows(client, f"SELECT * FROM '{folder}/open/a.parquet'")
    with pytest.raises(Error, match="42501"):
        run(client, f"ATTACH '{folder}/open' AS s")


@pytest.mark.parametrize(
    ("glob", "path", "is_open"),
    [
        ("/data/*.csv", "/data/a.csv", True),
        ("/data/*.csv", "/data/deep/a.csv", False),
        ("/data/**", "/data/deep/a.csv", True),
        ("/data/**", "/database", False),
        ("/data/a?.csv", "/data/a1.csv", True),
        ("/data/a.csv", "/data/abcsv", False),
        ("s3://bucket/**", "s3://bucket/x/y", True),
        ("s3://bucket/**", "s3://bucket2/x", False),
        ("/data/**", "s3://data/x", False),
    ],
)
def test_a_glob_covers_what_it_says(glob: str, path: str, is_open: bool) -> None:
    allowed = AllowedFiles([glob])
    if is_open:
        allowed.covered(path)
    else:
        with pytest.raises(jammi_sql.ProgrammingError) as caught:
            allowed.covered(path)
        assert caught.value.sqlstate == "42501"


# --- limits ---


def test_a_statement_has_no_more_time_than_the_server_gives(alpha: Any, name: str) -> None:
    run(alpha, f"CREATE TOPIC {name} (v BIGINT)")
    run(alpha, "SET jammi.statement_timeout = none")
    with pytest.raises(Error, match="57014"):  # it waits for a batch that does not come
        rows(alpha, f"SELECT count(*) FROM subscribe('{name}', until => 0)")


def test_a_statement_has_no_more_memory_than_the_server_gives(alpha: Any) -> None:
    run(alpha, "SET jammi.memory_limit = '100G'")
    text = "SELECT count(*) FROM generate_series(1, 5000000) a JOIN generate_series(1, 5000000) b ON a.value = b.value"
    with pytest.raises(Error, match="Resources exhausted"):
        rows(alpha, text)


def test_a_message_is_no_larger_than_the_server_takes(alpha: Any) -> None:
    assert rows(alpha, f"SELECT length('{'x' * 900_000}')") == [(900_000,)]
    with pytest.raises(Error, match="larger than max"):
        rows(alpha, f"SELECT length('{'x' * 1_100_000}')")


def test_an_identity_makes_no_more_calls_than_the_server_allows(tmp_path: Path, tokens: Path) -> None:
    arguments = ("--token-file", str(tokens), "--rate", "0.001")
    with JammiServer(tmp_path / "store", *arguments) as server:
        for token in ("alpha", "beta"):  # one call each
            with server.connect(token=token) as client, pytest.raises(Error, match="53400"):
                rows(client, "SELECT 1")


def test_the_log_names_neither_tokens_nor_values(alpha: Any, guarded: JammiServer) -> None:
    rows(alpha, "SELECT 'a secret value'")
    until(lambda: '"fingerprint"' in guarded.log, "the call is in the log")
    assert "secret" not in guarded.log and "alpha" not in guarded.log
    assert f'"tenant":"{TENANT_A}"' in guarded.log


# --- the parts ---


def test_credentials_without_padding_are_read() -> None:
    encoded = base64.b64encode(b"user:pass:word").decode().rstrip("=")
    assert basic_token(encoded) == "pass:word"
    assert bearer_token([f"Basic {encoded}"]) == "pass:word"
    assert bearer_token(["bearer  t "]) == "t"
    assert (basic_token("%%%"), basic_token(base64.b64encode(b"user").decode()), bearer_token(["other x"])) == (
        None,
        None,
        None,
    )
    with pytest.raises(OperationalError, match="more than one"):
        bearer_token(["Bearer a", "Bearer b"])


@pytest.mark.parametrize("line", ["token", "token not-a-uuid", "a b c"])
def test_a_line_that_is_no_identity_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "tokens").write_text(f"ok -\n{line}\n")
    with pytest.raises(InvalidParameter, match="line 2"):
        Identities(tmp_path / "tokens")


def test_a_certificate_is_an_identity(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"cert:app {TENANT_A}\n")
    identities = Identities(tmp_path / "tokens")
    found = identities.of_certificate(["app"])
    assert found is not None and (found.name, found.tenant) == ("app", TENANT_A)
    assert (identities.of_certificate(["other"]), identities.of_token("cert:app")) == (None, None)
