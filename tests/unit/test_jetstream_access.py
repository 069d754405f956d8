"""Who gets in at a NATS server, and how: credentials, TLS, privileges, several servers."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

import jammi_sql
from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.topics import TopicDefinition
from tests.jetstream_support import EAGER, check_history, deafen, publish, until_delivered
from tests.servers.nats import NatsServer
from tests.servers.ports import free_port
from tests.topic_support import LIMIT, definition, until


def certificates(folder: Path) -> dict[str, str]:
    """A certificate for loopback that signs itself."""
    from cryptography import x509  # noqa: PLC0415 - takes its time
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}
    files["cert_file"].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files["key_file"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {name: str(path) for name, path in files.items()}


def nkey(folder: Path) -> tuple[str, str]:
    """A public key, and a file with its seed."""
    import base64  # noqa: PLC0415
    import os  # noqa: PLC0415

    import nkeys  # noqa: PLC0415

    raw = bytes(
        [nkeys.PREFIX_BYTE_SEED | nkeys.PREFIX_BYTE_USER >> 5, (nkeys.PREFIX_BYTE_USER & 31) << 3]
    ) + os.urandom(32)
    seed = base64.b32encode(raw + nkeys.crc16_checksum(raw)).rstrip(b"=")
    path = folder / "seed"
    path.write_bytes(seed)
    return nkeys.from_seed(bytearray(seed)).public_key.decode(), str(path)


def works(broker: JetStreamBroker) -> bool:
    """Whether a topic gets its stream."""
    topic = definition()
    try:
        assert broker.wait_connected(LIMIT)
        broker.register_topic(topic)
        until(lambda: topic.id in broker._link.session._ensured, "the stream is made")
    finally:
        broker.close()
    return True


def test_user_and_password_token_and_nkey_get_in(tmp_path: Path) -> None:
    public, seed = nkey(tmp_path)
    users = {"users": [{"user": "ann", "password": "ses@me"}, {"nkey": public}]}
    with NatsServer(tmp_path / "users", {"authorization": users}) as server:
        host = server.url.removeprefix("nats://")
        assert works(JetStreamBroker(server.url, user="ann", password="ses@me", **EAGER))
        assert works(JetStreamBroker(f"nats://ann:ses%40me@{host}", **EAGER))
        assert works(JetStreamBroker(f"{server.url}?nkey={seed}", **EAGER))
    with NatsServer(tmp_path / "token", {"authorization": {"token": "ses@me"}}) as server:
        assert works(JetStreamBroker(server.url, token="ses@me", **EAGER))
        assert works(JetStreamBroker(f"nats://ses%40me@{server.url.removeprefix('nats://')}", **EAGER))


def test_who_is_not_let_in_is_told_so_once_and_without_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    users = {"users": [{"user": "zoe", "password": "sesame"}]}
    with NatsServer(tmp_path / "nats", {"authorization": users}) as server:
        url = f"nats://zoe:opensaysme@{server.url.removeprefix('nats://')}"
        with jammi_sql.connect(tmp_path / "store", broker=url) as conn:
            conn.execute("CREATE TOPIC t (a INT)")
            conn.execute("INSERT INTO t VALUES (1)")
            until(lambda: [record for record in caplog.records if "cannot be used" in record.message], "it is told")
            assert conn.execute("SELECT a FROM t").fetchall() == [(1,)]
            broker = conn.engine.broker
            assert not broker.connected
            assert broker.heal_interval in (0.25, 0.01)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and "authorization" in warnings[0].lower() and f":{server.port}" in warnings[0]
    assert "opensaysme" not in caplog.text and "zoe" not in warnings[0]


def test_the_privileges_of_the_documentation_are_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "jetstream.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith(("| publish", "| subscribe"))]
    assert len(rows) == 3
    allowed = {
        word: re.findall("`([^`]+)`", "".join(row for row in rows if word in row.split("|")[1]))
        for word in ("publish", "subscribe")
    }
    user = {"user": "shop", "password": "pw", "permissions": {word: {"allow": each} for word, each in allowed.items()}}
    with NatsServer(tmp_path / "nats", {"authorization": {"users": [user]}}) as server:
        opened = [
            Engine.open(tmp_path / "store", broker=JetStreamBroker(server.url, user="shop", password="pw", **EAGER))
            for _ in range(2)
        ]
        writer, reader = opened
        deafen(reader)
        topic = writer.topic_repo.register_topic(definition())
        with reader.subscriber.subscribe(topic) as subscription:
            until_delivered(reader, topic)
            publish(writer, topic, 0, 5)
            check_history(subscription, 0, 5)
            (there,) = writer.broker.list_consumers(topic.id)
            assert there.last_delivered_stream_sequence == 4
            changed = TopicDefinition(topic.name, topic.schema, None, {"jetstream_max_bytes": "100000"}, topic.id)
            writer.broker.register_topic(changed)
            assert isinstance(writer.broker, JetStreamBroker)
            session = writer.broker._link.session
            until(lambda: session._ensured.get(topic.id) is changed, "the stream is changed")
        writer.topic_repo.drop_topic(topic.id)
        until(lambda: not session._doomed, "the stream is deleted")
        for engine in opened:
            engine.close()
    assert caplog.records == []


def test_the_servers_of_a_list_stand_in_for_each_other(nats_server: NatsServer) -> None:
    for _ in range(4):  # they are tried in any order
        assert works(JetStreamBroker([f"nats://127.0.0.1:{free_port()}", nats_server.url], **EAGER))


def test_tls_is_used_and_insisted_on(tmp_path: Path, nats_server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    files = certificates(tmp_path)
    with NatsServer(tmp_path / "nats", {"tls": files}) as server:
        url = f"tls://127.0.0.1:{server.port}"
        assert works(JetStreamBroker(url, tls_ca=files["cert_file"], **EAGER))
        assert works(JetStreamBroker(f"{url}?tls_ca={files['cert_file']}", **EAGER))
        stranger = JetStreamBroker(url, **EAGER)
        until(lambda: "certificate" in caplog.text.lower(), "the certificate is refused")
        stranger.close()
    caplog.clear()
    # No TLS there: the password must not go over the wire.
    broker = JetStreamBroker(f"tls://ann:sesame@127.0.0.1:{nats_server.port}", tls_ca=files["cert_file"], **EAGER)
    until(lambda: "no TLS" in caplog.text, "the plain server is refused")
    assert not broker.connected
    broker.close()
