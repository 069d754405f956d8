"""Attached files: in queries beside topics and tables, and in an object store or on a web server."""

from __future__ import annotations

import http.server
import os
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from datafusion import SessionContext

from jammi_sql import Connection, connect
from jammi_sql.errors import Error, InvalidParameter, OperationalError, UndefinedTable
from jammi_sql.sources.files import FileRelation
from tests.acceptance.language import fails, rows, value, values

BUCKET = "jammi-lake"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with a file, a folder of files and one of partitions."""
    folder = tmp_path / "lake"
    for year in (2024, 2025):
        (folder / "events" / f"year={year}").mkdir(parents=True)
        pq.write_table(pa.table({"id": [year, year + 10]}), folder / "events" / f"year={year}" / "1.parquet")
    (folder / "people.csv").write_text("id,name\n2024,ann\n2035,bob\n")
    pq.write_table(pa.table({"n": range(100_000)}), folder / "numbers.parquet", row_group_size=10_000)
    return folder


@pytest.fixture
def attached(conn: Connection, lake: Path) -> Connection:
    """A session in which it is attached."""
    conn.execute(f"ATTACH '{lake}' AS lake")
    return conn


def test_a_folder_is_a_catalog_of_relations(attached: Connection) -> None:
    assert rows(attached, "SELECT type, name FROM jammi.system.sources") == [("files", "lake")]
    listed = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'public'"
    assert sorted(rows(attached, listed)) == [("public", "events"), ("public", "numbers"), ("public", "people")]
    assert rows(attached, "SELECT name FROM lake.public.people WHERE id > 2030") == [("bob",)]
    assert [row[:2] for row in rows(attached, "DESCRIBE lake.public.events")] == [("id", "Int64"), ("year", "Int64")]
    with fails("42P01", UndefinedTable):
        attached.execute("SELECT * FROM lake.public.nobody")


def test_datafusion_reads_parquet_itself_and_skips_what_a_condition_excludes(attached: Connection) -> None:
    assert value(attached, "SELECT sum(n) FROM lake.public.numbers WHERE n >= 95000") == sum(range(95_000, 100_000))
    (plan,) = [
        row[1]
        for row in rows(attached, "EXPLAIN SELECT n FROM lake.public.numbers WHERE n >= 95000")
        if row[0] == "physical_plan"
    ]
    assert "file_type=parquet" in plan and "pruning_predicate" in plan
    (plan,) = [
        row[1]
        for row in rows(attached, "EXPLAIN SELECT id FROM lake.public.events WHERE year = 2025")
        if row[0] == "physical_plan"
    ]
    assert plan.count(".parquet") == 1


def test_files_topics_and_tables_are_joined(attached: Connection) -> None:
    attached.execute("CREATE TOPIC t (id BIGINT)")
    attached.execute("CREATE TABLE c (year BIGINT, word VARCHAR)")
    attached.execute("INSERT INTO t VALUES (2024), (2035)")
    attached.execute("INSERT INTO c VALUES (2024, 'old'), (2025, 'new')")
    query = """
        SELECT p.name, c.word FROM lake.public.people AS p
        JOIN lake.public.events AS e USING (id) JOIN t USING (id) JOIN c USING (year) ORDER BY 1
    """
    assert rows(attached, query) == [("ann", "old"), ("bob", "new")]
    attached.execute("SET jammi.pushdown = off")
    assert rows(attached, query) == [("ann", "old"), ("bob", "new")]


def test_files_are_joined_with_a_database_whatever_is_computed_there(attached: Connection, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "shop.db")
    database.execute("CREATE TABLE words (year INTEGER PRIMARY KEY, word TEXT)")
    database.execute("INSERT INTO words VALUES (2024, 'old'), (2025, 'new')")
    database.execute("CREATE TABLE years (year INTEGER PRIMARY KEY)")
    database.execute("INSERT INTO years VALUES (2025)")
    database.commit()
    database.close()
    attached.execute(f"ATTACH 'sqlite:///{tmp_path}/shop.db' AS shop")
    attached.execute("CREATE TABLE c (id BIGINT)")
    attached.execute("INSERT INTO c VALUES (2024), (2035)")
    for query, expected in {
        "SELECT w.word, count(*) FROM lake.public.events AS e JOIN shop.main.words AS w USING (year) GROUP BY 1 ORDER BY 1": [
            ("new", 2), ("old", 2),
        ],
        "SELECT p.name, w.word FROM lake.public.people AS p JOIN lake.public.events AS e USING (id) JOIN c USING (id) "
        "JOIN shop.main.words AS w USING (year) WHERE w.year > 2024": [("bob", "new")],
    }.items():  # fmt: skip
        for pushdown in ("on", "off"):
            attached.execute(f"SET jammi.pushdown = {pushdown}")
            assert rows(attached, query) == expected
    attached.execute("RESET jammi.pushdown")
    attached.execute("CREATE CACHED TABLE k AS SELECT year FROM lake.public.events GROUP BY year")
    query = """
        SELECT e.id, s.n FROM k JOIN lake.public.events AS e ON k.year = e.year JOIN (
            SELECT w.year, count(*) AS n FROM shop.main.words AS w JOIN shop.main.years AS y ON y.year = w.year GROUP BY 1
        ) AS s ON s.year = e.year ORDER BY 1
    """
    assert rows(attached, query) == [(2025, 1), (2035, 1)]
    plan = dict(rows(attached, f"EXPLAIN {query}"))
    assert "JOIN" in plan["source shop"] and "GROUP BY" in plan["source shop"]
    assert plan["physical_plan"].count("file_type=parquet") == 3


def test_a_view_a_live_subscription_and_a_cached_table_read_files(attached: Connection, lake: Path) -> None:
    attached.execute("CREATE VIEW v AS SELECT count(*) AS n FROM lake.public.people")
    attached.execute("CREATE TOPIC t (id BIGINT)")
    live = attached.engine.session()
    cursor = live.execute(
        "SELECT p.name FROM subscribe('t', from => 'earliest') AS t JOIN lake.public.people AS p ON p.id = t.id LIMIT 1"
    )
    attached.execute("INSERT INTO t VALUES (2035)")
    assert cursor.fetchall() == [("bob",)]
    assert value(attached, "SELECT n FROM v") == 2
    if attached.engine.services.caches.storage.exists:
        attached.execute("CREATE CACHED TABLE c AS SELECT * FROM lake.public.people")
        (lake / "people.csv").write_text("id,name\n1,new\n")
        assert value(attached, "SELECT count(*) FROM c") == 2
        attached.execute("REFRESH TABLE c")
        assert values(attached, "SELECT name FROM c") == ["new"]


def test_what_appears_later_is_found_and_what_is_wrong_is_an_error_of_its_relation(
    attached: Connection, lake: Path
) -> None:
    (lake / "later.json").write_text('{"a": [1, 2]}\n')
    assert rows(attached, "SELECT a FROM lake.public.later") == [([1, 2],)]
    (lake / "broken.parquet").write_text("no parquet")
    with fails("58030", OperationalError, says="broken.parquet cannot be read"):
        attached.execute("SELECT * FROM lake.public.broken")
    assert value(attached, "SELECT count(*) FROM lake.public.people") == 2
    attached.execute("REFRESH SOURCE lake")
    assert value(attached, "SELECT count(*) FROM lake.public.people") == 2
    attached.execute("DETACH lake")
    with pytest.raises(Error):
        attached.execute("SELECT * FROM lake.public.people")


def test_a_file_that_goes_while_the_statement_is_planned_is_an_error(
    attached: Connection, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = FileRelation.table

    def table(relation: FileRelation, context: SessionContext, path: Any = None) -> Any:
        found = scanned(relation, context, path)
        (lake / "people.csv").unlink()
        return found

    monkeypatch.setattr(FileRelation, "table", table)
    with fails("58P01", OperationalError, says="people.csv"):
        attached.execute("SELECT * FROM lake.public.people").fetchall()


def test_options_are_checked_when_files_are_attached(conn: Connection, lake: Path) -> None:
    for options, says in (
        ("colour red", "no option colour"),
        ("header perhaps", "header cannot be"),
        ("format xlsx", "no format"),
        ("secret_access_key 'hunter2'", "plain text"),
    ):
        with fails("22023", InvalidParameter, says=says) as caught:
            conn.execute(f"ATTACH '{lake}' AS lake (TYPE files, {options})")
        assert "hunter2" not in str(caught.value)
    conn.execute(f"ATTACH '{lake}/*.csv' AS people (header false, schema_infer_rows 1)")
    assert rows(conn, "SELECT column_2 FROM people.public.people LIMIT 1") == [("name",)]


def test_a_relative_path_is_that_of_who_attached_it(
    tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake)
    with connect(tmp_path / "store") as connection:
        connection.execute("ATTACH 'people.csv' AS people")
    monkeypatch.chdir(tmp_path)
    with connect(tmp_path / "store") as connection:
        assert value(connection, "SELECT count(*) FROM people.public.people") == 2


# --- an object store -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server of its own that speaks S3, on loopback."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes long, and each worker would do it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lake: Path) -> Iterator[str]:
    """The options that lead to a bucket with the lake in it; the credentials are in variables of other names."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("LAKE_KEY", "testing")
    (tmp_path / "secret").write_text("testing\n")
    import boto3  # noqa: PLC0415 - as above

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=BUCKET)
    for path in lake.rglob("*.*"):
        client.upload_file(str(path), BUCKET, f"a b/{path.relative_to(lake)}")
    yield (
        f"region 'us-east-1', endpoint '{endpoint}', allow_http true, access_key_id 'env:LAKE_KEY', "
        f"secret_access_key 'file:{tmp_path / 'secret'}'"
    )
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


def test_a_bucket_is_read_as_a_folder_is(conn: Connection, bucket: str) -> None:
    conn.execute(f"ATTACH 's3://{BUCKET}/a b' AS lake (TYPE files, {bucket})")
    assert value(conn, "SELECT sum(n) FROM lake.public.numbers WHERE n >= 95000") == sum(range(95_000, 100_000))
    assert rows(conn, "SELECT id, year FROM lake.public.events ORDER BY id") == [
        (2024, 2024),
        (2025, 2025),
        (2034, 2024),
        (2035, 2025),
    ]
    conn.execute(f"ATTACH 's3://{BUCKET}/a b/*.csv' AS people (TYPE files, {bucket})")
    assert values(conn, "SELECT name FROM people.public.people ORDER BY 1") == ["ann", "bob"]
    conn.execute("CREATE TABLE t (id BIGINT, name VARCHAR)")
    assert conn.execute(f"COPY t FROM 's3://{BUCKET}/a b/people.csv' ({bucket})").rowcount == 2
    with fails("58P01", OperationalError, says="s3://jammi-lake/nobody"):
        conn.execute(f"COPY t FROM 's3://{BUCKET}/nobody.csv' ({bucket})")


def test_no_message_and_no_view_shows_a_credential(
    conn: Connection, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_KEY", "hunter2")
    conn.execute(f"ATTACH 's3://{BUCKET}/a b' AS lake (TYPE files, {bucket})")
    assert "hunter2" not in str(rows(conn, "SELECT * FROM jammi.system.sources"))
    monkeypatch.delenv("LAKE_KEY")
    with fails("28000", OperationalError, says="LAKE_KEY is not set"):
        conn.execute("SELECT * FROM lake.public.people")


# --- the web -------------------------------------------------------------------------------------


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, parts of files included."""

    def send_head(self) -> Any:
        span = self.headers.get("Range")
        if span is None or self.command == "HEAD":
            return super().send_head()
        whole = Path(self.translate_path(self.path)).read_bytes()
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, end = (
            (len(whole) - int(last), len(whole)) if not first else (int(first), int(last or len(whole) - 1) + 1)
        )
        part = whole[start : min(end, len(whole))]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def signed(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """A certificate for this machine's loopback address, or, signed by itself, one that signs others."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """Files of who is trusted, of a certificate for the loopback address, and of its key."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    contents = {
        "trusted": signed("authority", authority, "authority", authority).public_bytes(pem),
        "certificate": signed("loopback", key, "authority", authority).public_bytes(pem),
        "key": key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain),
    }
    for name, content in contents.items():
        (folder / f"{name}.pem").write_bytes(content)
    return folder / "trusted.pem", folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def site(lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a web server with the lake."""
    trusted, certificate, key = certified(lake.parent)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: _Ranges(*arguments, directory=str(lake))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_at_a_url_is_read(conn: Connection, site: str) -> None:
    conn.execute(f"ATTACH '{site}/people.csv' AS people")
    assert values(conn, "SELECT name FROM people.public.people ORDER BY 1") == ["ann", "bob"]
    conn.execute(f"ATTACH '{site}/numbers.parquet' AS numbers")
    assert value(conn, "SELECT count(*) FROM numbers.public.numbers WHERE n < 10") == 10
    conn.execute(f"ATTACH '{site}/nobody.csv' AS nobody")
    with fails("58P01", OperationalError, says="nobody.csv"):
        conn.execute("SELECT * FROM nobody.public.nobody")
