"""The server as its operator has it: start, certificates, metrics, end."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as flightsql
import pytest
from adbc_driver_manager import Error
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import jammi_sql
from jammi_sql.console.main import main
from jammi_sql.flight.operations import Operations
from tests.flight.test_statements import rows, run
from tests.servers.jammi import _COMMAND, JammiServer
from tests.servers.ports import free_port
from tests.topic_support import LIMIT, TENANT_A


class Authority:
    """Makes certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = self._signed(self._name, self._key, is_authority=True)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.certificate)

    def _signed(self, name: x509.Name, key: Any, *, is_authority: bool = False) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )  # fmt: skip
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, common_name: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        paths = self._folder / f"{common_name}.pem", self._folder / f"{common_name}.key"
        paths[0].write_bytes(self._signed(name, key))
        encoding, form, none = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        paths[1].write_bytes(key.private_bytes(encoding, form, none))
        return paths


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LIMIT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_certificates_of_the_server_and_of_clients(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("localhost")
    app_cert, app_key = authority.issue("app")
    odd_cert, odd_key = authority.issue("odd")
    (tmp_path / "tokens").write_text(f"cert:app {TENANT_A}\nright -\n")
    arguments = ("--tls-cert", str(cert), "--tls-key", str(key), "--tls-client-ca", str(authority.path))
    with JammiServer(tmp_path / "store", *arguments, "--token-file", str(tmp_path / "tokens")) as server:
        assert server.uri.startswith("grpc+tls://127.0.0.1:")

        def tenant(*certificate: Path, **options: str) -> Any:
            given = {"adbc.flight.sql.client_option.tls_root_certs": authority.path.read_text(), **options}
            if certificate:
                given["adbc.flight.sql.client_option.mtls_cert_chain"] = certificate[0].read_text()
                given["adbc.flight.sql.client_option.mtls_private_key"] = certificate[1].read_text()
            with flightsql.connect(
                server.uri.replace("127.0.0.1", "localhost"), db_kwargs=given, autocommit=True
            ) as client:
                return rows(client, "SHOW tenant")[0][0]

        assert tenant(app_cert, app_key) == str(TENANT_A)
        bearer = {"adbc.flight.sql.authorization_header": "Bearer right"}
        assert tenant(odd_cert, odd_key, **bearer) is None
        with pytest.raises(Error, match="28000"):
            tenant(odd_cert, odd_key)
        with pytest.raises(Error):  # without a certificate, not even a token helps
            tenant(**bearer)
        stranger = Authority(tmp_path / "store").issue("app")
        with pytest.raises(Error):
            tenant(*stranger)


def test_it_is_alive_ready_and_measured_and_ends_in_order(tmp_path: Path) -> None:
    port = free_port()
    with JammiServer(tmp_path / "store", "--metrics-port", str(port), "--log-format", "json") as server:
        assert page(port, "/healthz") == (200, "alive\n")
        assert page(port, "/readyz") == (200, "ready\n")
        assert page(port, "/nowhere")[0] == 404
        with server.connect() as client, server.connect() as writer:
            run(client, "CREATE TOPIC t (v BIGINT)")
            run(client, "CREATE TABLE n (v BIGINT)")
            live = client.cursor()
            live.execute("SELECT v FROM subscribe('t')")
            reader = live.fetch_record_batch()
            run(client, "INSERT INTO t VALUES (1)")
            assert next(reader).to_pylist() == [{"v": 1}]
            text = page(port, "/metrics")[1]
            assert 'jammi_flight_calls_total{method="DoPut",status="OK"}' in text
            assert "jammi_flight_live_streams 1.0" in text and "jammi_flight_clients 2.0" in text
            assert "jammi_statements_total{" in text
            run(writer, "BEGIN")
            run(writer, "INSERT INTO n VALUES (1)")  # and is left so
            server.process.terminate()
            with pytest.raises(Exception, match="57P01"):
                next(reader)
            reader.close()
            try:
                live.close()
            except Error:
                live._closed = True  # the server may have gone before it was told; ADBC would count a second time
        assert server.process.wait(LIMIT) == 0
        assert "Traceback" not in server.log
        methods = {json.loads(line).get("method") for line in server.log.splitlines()}
        assert {"DoPut", "DoGet", "DoAction", "GetFlightInfo"} <= methods
    with jammi_sql.connect(tmp_path / "store") as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM t) AS t, (SELECT count(*) FROM n) AS n").fetchall() == [
            (1, 0)
        ]


def test_a_running_statement_ends_before_the_server_does(tmp_path: Path) -> None:
    with JammiServer(tmp_path / "store") as server:
        program = (
            "import sys, adbc_driver_flightsql.dbapi as f\n"
            "client = f.connect(sys.argv[1], autocommit=True)\n"
            "cursor = client.cursor(); cursor.execute('CREATE TABLE t (v BIGINT)')\n"
            "cursor.execute('SELECT sum(a.value % 7) FROM generate_series(1, 40000) a, generate_series(1, 2000) b')\n"
            "print('begun', flush=True); print(cursor.fetchall())\n"
        )
        command = [_COMMAND[0], "-c", program, server.uri]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "begun\n"
            assert server.terminate() == 0
            assert child.stdout.read().startswith("[(")


def test_a_port_that_is_taken_is_said(server: JammiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = server.uri.rpartition(":")[2]
    assert main(["serve", "--store", str(tmp_path / "store"), "--port", port]) == 1
    assert "cannot be listened on" in capsys.readouterr().err
    assert main(["serve", "--store", str(tmp_path / "store"), "--port", "0", "--metrics-port", port]) == 1
    out, err = capsys.readouterr()
    assert out == "" and f"{port} cannot be listened on" in err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--host", "0.0.0.0"), "--token-file"),
        (("--host", "example.invalid"), "--token-file"),
        (("--tls-cert", "x.pem"), "--tls-key"),
        (("--tls-client-ca", "x.pem"), "--tls-cert"),
    ],
)
def test_what_is_not_safe_is_refused(
    arguments: tuple[str, ...], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--store", str(tmp_path / "store"), *arguments]) == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--metrics-port", "http"),
        ("--threads", "0"),
        ("--max-message", "0"),
        ("--memory-limit", "-5"),
        ("--rate", "0"),
        ("--statement-timeout", "nan"),
        ("--transaction-timeout", "inf"),
    ],
)
def test_a_number_that_cannot_be_is_wrong_usage(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", f"{option}={value}"])
    assert left.value.code == 2
    assert f"argument {option}: '{value}' is not a" in capsys.readouterr().err


def test_it_is_not_ready_before_clients_may_come() -> None:
    operations = Operations(None, "127.0.0.1", None)  # type: ignore[arg-type] # nothing is asked of the service
    assert [operations._page(page)[0][:3] for page in ("/healthz", "/readyz")] == ["200", "503"]
    operations.ready = True
    assert operations._page("/readyz")[0].startswith("200")
