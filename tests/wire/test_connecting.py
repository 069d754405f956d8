"""Reaching a server, showing who comes, and what happens when either end is gone."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.wire import WireOptions
from tests.acceptance.language import LIMIT, fails, until, value, values
from tests.servers.jammi import JammiServer
from tests.servers.proxy import Proxy
from tests.targets import StoreTarget
from tests.topic_support import TENANT_A, TENANT_B


def certificate(folder: Path, name: str, signer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """A certificate and its key, written as ``name.pem`` and ``name.key``; without ``signer`` it is an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    made = builder.sign(key if signer is None else signer[1], hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JammiServer, Path]]:
    """A server with TLS that knows tokens and a certificate, and the folder with all of them."""
    folder = tmp_path_factory.mktemp("guarded")
    authority = certificate(folder, "authority")
    for name in ("server", "billing"):
        certificate(folder, name, authority)
    (folder / "tokens").write_text(f"alpha {TENANT_A}\nroot admin\ncert:billing {TENANT_B}\n")
    with JammiServer(
        folder / "store", "--token-file", f"{folder}/tokens", "--tls-cert", f"{folder}/server.pem", "--tls-key",
        f"{folder}/server.key", "--tls-client-ca", f"{folder}/authority.pem",
    ) as server:  # fmt: skip
        yield server, folder


def shown(guarded: tuple[JammiServer, Path], **options: Any) -> Connection:
    server, folder = guarded
    certified = {
        "tls_root_certs": folder / "authority.pem",
        "tls_cert": folder / "billing.pem",
        "tls_key": folder / "billing.key",
    }
    return jammi_sql.connect(server.uri, **{**certified, **options})


def test_a_token_says_for_whom(guarded: tuple[JammiServer, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = guarded
    monkeypatch.setenv("WIRE_TOKEN", "alpha")
    (folder / "token").write_text("alpha\n")
    for given in ("alpha", "env:WIRE_TOKEN", f"file:{folder}/token"):
        with shown(guarded, token=given) as conn:
            assert conn.tenant == TENANT_A
    with shown(guarded, username="anybody", password="env:WIRE_TOKEN") as conn:
        assert conn.tenant == TENANT_A


def test_a_certificate_says_for_whom(guarded: tuple[JammiServer, Path]) -> None:
    with shown(guarded) as conn:
        assert conn.tenant == TENANT_B


def test_the_tenant_is_chosen_by_admins_alone(guarded: tuple[JammiServer, Path]) -> None:
    with shown(guarded, token="root", tenant=TENANT_B) as conn:
        assert value(conn, "SELECT current_tenant()") == str(TENANT_B)
    with shown(guarded, token="alpha", tenant=TENANT_A) as conn:
        assert conn.tenant == TENANT_A
        with fails("42501"), conn.tenant_scope(TENANT_B):
            pass
        assert conn.tenant == TENANT_A
    with fails("42501"):
        shown(guarded, token="alpha", tenant=TENANT_B)


def test_who_is_not_known_is_not_let_in(guarded: tuple[JammiServer, Path]) -> None:
    with pytest.raises(errors.OperationalError) as raised:
        shown(guarded, token="wrong-token")
    assert raised.value.sqlstate == "28000" and "wrong-token" not in str(raised.value)


def test_a_session_is_no_others(guarded: tuple[JammiServer, Path]) -> None:
    with shown(guarded, token="root") as root, shown(guarded, token="alpha") as alpha:
        alpha._port._link._metadata = (root._port._link._metadata[0], *alpha._port._link._metadata[1:])
        with fails("08006", errors.OperationalError):
            alpha.execute("SELECT 1")


def test_a_server_that_is_not_trusted_is_not_talked_to(guarded: tuple[JammiServer, Path], tmp_path: Path) -> None:
    certificate(tmp_path, "stranger")
    with fails("08001", errors.OperationalError):
        shown(guarded, token="alpha", tls_root_certs=tmp_path / "stranger.pem")


@pytest.mark.parametrize(
    ("target", "options", "sqlstate", "says"),
    [
        ("grpc://h:1", {"broker": "memory"}, "0A000", "broker"),
        ("grpc://h:1", {"read_only": True}, "0A000", "read-only"),
        ("grpc://h:1", {"lock_timeout": 1}, "22023", "lock_timeout"),
        ("grpc://h:1", {"tls_root_certs": "x"}, "22023", "tls_root_certs"),
        ("grpc+tls://h:1", {"tls_root_certs": "/nowhere"}, "22023", "tls_root_certs"),
        ("grpc+tls://h:1", {"tls_cert": __file__}, "22023", "key"),
        ("grpc://h:1", {"token": "a", "username": "b"}, "22023", "not both"),
        ("grpc://h:1", {"username": "b"}, "22023", "password"),
        ("grpc://h:1", {"token": "a\nb"}, "22023", "token"),
        ("grpc://h:1", {"connect_timeout": 0}, "22023", "connect_timeout"),
        ("grpc://h:1", {"headers": 7}, "22023", "headers"),
        ("grpc://h", {}, "22023", "host:port"),
        ("grpc://h:x", {}, "22023", "address"),
        ("grpc://h:1/store", {}, "22023", "host:port"),
        ("grpc://me:secret@h:1", {}, "22023", "user"),
        ("grpc://h:1", {"tenant": "x"}, "22023", "tenant"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    target: str, options: dict[str, Any], sqlstate: str, says: str
) -> None:
    with pytest.raises(errors.Error, match=f"(?i){says}") as raised:
        jammi_sql.connect(target, **options)
    assert raised.value.sqlstate == sqlstate and "secret" not in str(raised.value)


def test_a_reference_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    for given in ("env:NO_SUCH_VARIABLE", f"file:{tmp_path}/nothing"):
        with fails("28000", errors.OperationalError):
            jammi_sql.connect("grpc://h:1", token=given)


def test_secrets_are_in_no_repr() -> None:
    options = WireOptions.of("grpc://h:1", {"token": "hush", "headers": {"x-a": "hush"}})
    assert options.headers == (("authorization", "Bearer hush"), ("x-a", "hush")) and "hush" not in repr(options)


def test_where_nobody_listens_it_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with fails("08001", errors.OperationalError, says=str(port)):
        jammi_sql.connect(f"grpc://127.0.0.1:{port}")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(errors.OperationalError) as raised:
        jammi_sql.connect(f"grpc://127.0.0.1:{mute.getsockname()[1]}", connect_timeout=0.3)
    assert raised.value.sqlstate == "08001"


def test_a_server_of_another_kind_is_named_as_such() -> None:
    pytest.importorskip("pyarrow.flight")
    from tests.servers.flight_sql import FlightSqlServer  # noqa: PLC0415

    with FlightSqlServer() as server, pytest.raises(errors.Error) as raised:
        jammi_sql.connect(server.uri)
    assert raised.value.sqlstate in ("0A000", "58000")


@pytest.fixture
def proxied(wire_target: StoreTarget) -> Iterator[tuple[Proxy, Connection, StoreTarget]]:
    host, _, port = wire_target.target.removeprefix("grpc://").rpartition(":")
    with Proxy((host, int(port))) as proxy:
        with jammi_sql.connect(f"grpc://{proxy.address[0]}:{proxy.address[1]}") as conn:
            yield proxy, conn, wire_target


def test_a_connection_that_is_cut_is_lost_and_leaves_nothing(
    proxied: tuple[Proxy, Connection, StoreTarget],
) -> None:
    proxy, conn, target = proxied
    with target.connect() as other:
        other.execute("CREATE TABLE t (a INT)")
        other.execute("CREATE TOPIC e (a INT)")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (1)")
        live = conn.execute("SELECT a FROM subscribe('e')")
        proxy.cut()
        with fails("08006", errors.OperationalError):
            live.fetchone()
        until(lambda: conn._port._link._lost is not None)
        with fails("08006", errors.OperationalError):
            conn.execute("SELECT 1")
        other.execute("INSERT INTO t VALUES (2)")  # the lock is free
        assert values(other, "SELECT a FROM t") == [2]
    conn.close()


def test_a_statement_during_which_the_connection_is_cut_ends(proxied: tuple[Proxy, Connection, StoreTarget]) -> None:
    proxy, conn, target = proxied
    with target.connect() as other:
        other.execute("CREATE TABLE t (a INT)")
        with other.transaction():
            other.execute("INSERT INTO t VALUES (1)")

            def cut() -> None:
                until(lambda: conn._port._link._asked is not None)
                proxy.cut()

            cutting = threading.Thread(target=cut)
            cutting.start()
            with fails("08006", errors.OperationalError):
                conn.execute("INSERT INTO t VALUES (2)")  # waits for the lock
            cutting.join()
        assert values(other, "SELECT a FROM t") == [1]


def test_a_client_that_is_killed_leaves_no_lock(wire_target: StoreTarget) -> None:
    program = (
        "import jammi_sql, sys\n"
        f"conn = jammi_sql.connect({wire_target.target!r})\n"
        "conn.execute('CREATE TABLE IF NOT EXISTS t (a INT)')\n"
        "conn.execute('BEGIN')\n"
        "conn.execute('INSERT INTO t VALUES (1)')\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stdout.readline() == b"open\n"
        client.send_signal(signal.SIGKILL)
    with wire_target.connect() as conn:
        conn.execute("INSERT INTO t VALUES (2)")
        assert values(conn, "SELECT a FROM t") == [2]


def test_a_server_that_goes_down_lets_a_transaction_be_committed(tmp_path: Path) -> None:
    with JammiServer(tmp_path / "store") as server:
        conn = jammi_sql.connect(server.uri)
        conn.execute("CREATE TOPIC t (a INT)")
        live = conn.execute("SELECT a FROM subscribe('t')")
        idle = jammi_sql.connect(server.uri)
        assert server.terminate() == 0
        with pytest.raises(errors.OperationalError) as raised:
            live.fetchone()
        assert raised.value.sqlstate == "57P01"
        until(lambda: idle._port._link._lost is not None)
        with pytest.raises(errors.OperationalError) as raised:
            idle.execute("SELECT 1")
        assert raised.value.sqlstate in ("57P01", "08006")
        for each in (conn, idle):
            each.close()
    with jammi_sql.connect(tmp_path / "store") as again:
        assert values(again, "SELECT count(*) FROM t") == [0]


def test_ctrl_c_ends_the_statement_and_the_session_goes_on(wire_target: StoreTarget) -> None:
    program = (
        "import jammi_sql\n"
        f"conn = jammi_sql.connect({wire_target.target!r})\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    conn.execute('SELECT count(*) FROM generate_series(1, 100000000000)').fetchall()\n"
        "except KeyboardInterrupt:\n"
        "    print(conn.execute('SELECT 7').fetchall(), flush=True)\n"
        "conn.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None and client.stdout.readline() == "ready\n"
        os.kill(client.pid, signal.SIGINT)
        assert client.stdout.readline() == "[(7,)]\n"


def test_ctrl_c_at_any_step_of_a_call_leaves_the_connection_well(wire_target: StoreTarget) -> None:
    # What Ctrl-C does, at moments of which many lie within the Python code that begins a call. Again after a while, as a
    # person would press it: what comes at the first line of a __del__ Python itself loses.
    program = (
        "import random, signal, jammi_sql\n"
        "wanted = False\n"
        "def interrupt(*_):\n"
        "    if wanted:\n"
        "        raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        f"conn = jammi_sql.connect({wire_target.target!r})\n"
        "chance = random.Random(2)\n"
        "for _ in range(20):\n"
        "    try:\n"
        "        wanted = True\n"
        "        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0003, 0.01), 20)\n"
        "        conn.execute('SELECT count(*) FROM generate_series(1, 100000000000)').fetchall()\n"
        "    except KeyboardInterrupt:\n"
        "        wanted = False\n"
        "        signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "    assert conn.execute('SELECT 7').fetchall() == [(7,)]\n"
        "conn.close()\n"
        "print('well')\n"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT * 3).stdout == "well\n"


@pytest.mark.parametrize("left", ["SELECT a FROM subscribe('t')", "SELECT value FROM generate_series(1, 100000000)"])
def test_a_program_may_end_with_a_result_open(wire_target: StoreTarget, left: str) -> None:
    program = (
        "import jammi_sql\n"
        f"conn = jammi_sql.connect({wire_target.target!r})\n"
        "conn.execute('CREATE TOPIC t (a INT)')\n"
        f"left = conn.execute({left!r})\n"
        "try:\n"
        "    left.next_batch(0.05)\n"
        "except TimeoutError:\n"
        "    pass\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=LIMIT * 3, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
