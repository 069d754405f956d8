"""The parts of the JetStream broker that need no server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql import Engine
from jammi_sql.brokers import JetStreamBroker
from jammi_sql.brokers.jetstream.access import Access
from jammi_sql.brokers.jetstream.complaints import Complaints
from jammi_sql.brokers.jetstream.message import Encoder, decode
from jammi_sql.brokers.jetstream.outbox import Outbox
from jammi_sql.brokers.jetstream.retries import Retries
from jammi_sql.brokers.jetstream.stream_options import StreamOptions
from jammi_sql.errors import FeatureNotSupported, InvalidParameter
from jammi_sql.tenancy import TenantId
from jammi_sql.topics import DeliveredBatch, Offset
from tests.servers.ports import free_port
from tests.topic_support import TENANT_A, batch_of, definition

TOPIC = definition()
MOMENT = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)


def delivered(offset: int, rows: int = 1, tenant: TenantId | None = None) -> DeliveredBatch:
    return DeliveredBatch(Offset(offset, MOMENT), MOMENT, batch_of(range(rows)), tenant)


# --- access ---


@pytest.mark.parametrize(
    ("url", "server", "options"),
    [
        ("nats://host", "nats://host:4222", {}),
        ("host:7", "nats://host:7", {}),
        ("nats://[::1]:7", "nats://[::1]:7", {}),
        ("nats://ann:p%40ss%3A@host", "nats://host:4222", {"user": "ann", "password": "p@ss:"}),
        ("nats://s3cr%2Ft@host:1", "nats://host:1", {"token": "s3cr/t"}),
        ("nats://host?prefix=shop&credentials=/a/b.creds", "nats://host:4222", {"prefix": "shop", "credentials": "/a/b.creds"}),
        ("nats://host?nkey=/a/seed&inbox_prefix=_INBOX.shop", "nats://host:4222", {"nkey": "/a/seed", "inbox_prefix": "_INBOX.shop"}),
    ],
)  # fmt: skip
def test_a_url_says_where_the_server_is_and_how_to_get_in(url: str, server: str, options: dict[str, Any]) -> None:
    access = Access.of(url, {})
    assert access.servers == (server,)
    assert access.tls is None
    assert {name: getattr(access, name) for name in options} == options


def test_several_servers_share_the_credentials_and_an_option_wins() -> None:
    access = Access.of("nats://ann:pw@one,nats://two:7", {"user": "bob", "password": "other", "token": None})
    assert access.servers == ("nats://one:4222", "nats://two:7")
    assert (access.user, access.password) == ("bob", "other")
    assert Access.of(["nats://one", "nats://t@two"], {}).token == "t"


def test_credentials_are_in_no_text_about_them() -> None:
    access = Access.of("nats://ann:sesame@host", {"token": "opensaysme"})
    assert not [secret for secret in ("sesame", "opensaysme", "ann") if secret in repr(access) + access.location]


@pytest.mark.parametrize("url", ["tls://host", "nats://host?tls_first=true", "nats://one,tls://two"])
def test_tls_is_insisted_on_where_the_url_says_so(url: str) -> None:
    assert Access.of(url, {}).tls is not None


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("http://ann:sesame@host", {}, "http"),
        ("nats://ann:sesame@", {}, "malformed"),
        ("nats://ann:sesame@host:port", {}, "malformed"),
        ("nats://ann:sesame@host/path", {}, "malformed"),
        ("nats://ann:sesame@host?sesame=1", {}, "no option"),
        ("nats://host?tls_first=maybe", {}, "tls_first"),
        ("nats://host?prefix=a.b", {}, "prefix"),
        ("nats://host", {"prefix": "a b"}, "prefix"),
        ("nats://host", {"inbox_prefix": ">"}, "inbox_prefix"),
        ("nats://host", {"user": "ann"}, "password"),
        ("nats://host", {"tls_ca": "/nowhere/ca.pem"}, "TLS"),
        ([], {}, "server"),
        (7, {}, "URL"),
    ],
)
def test_what_is_wrong_with_a_url_is_named_without_quoting_it(url: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Access.of(url if not isinstance(url, int) else [url], options)
    assert said in caught.value.message
    assert caught.value.hint
    assert "ann:" not in str(caught.value)


# --- the broker by itself ---


@pytest.mark.parametrize(
    "name", ["queue", "queue_bytes", "heartbeat", "connect_timeout", "max_backoff", "close_timeout"]
)
def test_a_number_that_cannot_be_is_named(name: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        JetStreamBroker("nats://127.0.0.1:1", **{name: 0})


@pytest.mark.parametrize(("module", "package"), [("nats", "nats-py"), ("nkeys", "nkeys")])
def test_without_the_packages_the_error_says_what_to_install(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("jammi_sql.brokers.jetstream.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FeatureNotSupported, match=package) as caught:
        jammi_sql.connect(broker="nats://127.0.0.1:1?nkey=/nowhere")
    assert caught.value.hint == "pip install 'jammi-sql[nats]'"


def test_importing_the_package_imports_no_nats() -> None:
    program = "import sys, jammi_sql, jammi_sql.brokers; sys.exit('nats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("broker", ["kafka://host", "nats", "tls", "jetstream"])
def test_another_broker_is_refused(broker: str) -> None:
    with pytest.raises(FeatureNotSupported, match=broker.partition(":")[0]):
        Engine.open(broker=broker)


def test_an_engine_that_cannot_open_leaves_no_thread_behind() -> None:
    from threading import enumerate as threads  # noqa: PLC0415

    before = {thread.name for thread in threads()}
    with pytest.raises(FeatureNotSupported):
        Engine.open("grpc://host", broker=f"nats://127.0.0.1:{free_port()}")
    assert {thread.name for thread in threads()} <= before


# --- options of a topic ---


def test_without_options_a_stream_gets_the_defaults_and_keeps_what_it_has() -> None:
    options = StreamOptions.of({"retention": "7 days", "unknown": "x", "jetstream_unknown": "y"})
    assert options.wanted == {}
    assert options.complete == {
        "max_age": 3600.0, "duplicate_window": 120.0, "max_bytes": -1, "max_msgs": 10_000, "storage": "file", "num_replicas": 1, "retention": "limits",
    }  # fmt: skip


def test_options_become_what_the_server_knows() -> None:
    options = StreamOptions.of(
        {
            "jetstream_max_age": "90 s",
            "jetstream_max_bytes": "1000",
            "jetstream_max_messages": "unlimited",
            "jetstream_storage": "Memory",
            "jetstream_replicas": "3",
            "jetstream_retention": "interest",
        }
    )
    assert options.wanted == {
        "max_age": 90.0, "duplicate_window": 90.0, "max_bytes": 1000, "max_msgs": -1, "storage": "memory", "num_replicas": 3, "retention": "interest",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "age"),
    [
        ({"retention": "10 minutes"}, 600.0),
        ({"retention": "10 minutes", "jetstream_max_age": "1 day"}, 86400.0),
        ({"retention": "forever"}, None),
        ({"retention": "nonsense"}, None),
        ({"retention": "1 ms"}, 0.1),
        ({"jetstream_max_age": "forever"}, 0.0),
    ],
)
def test_what_a_topic_forgets_soon_the_server_forgets_too(metadata: dict[str, str], age: float | None) -> None:
    assert StreamOptions.of(metadata).max_age == age


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jetstream_max_age", "soon"),
        ("jetstream_max_age", "1 ms"),
        ("jetstream_max_bytes", "-1"),
        ("jetstream_max_bytes", "64M"),
        ("jetstream_max_messages", "0"),
        ("jetstream_storage", "tape"),
        ("jetstream_replicas", "6"),
        ("jetstream_replicas", "one"),
        ("jetstream_retention", "workqueue"),
    ],
)
def test_a_wrong_option_is_named_and_can_be_left_out(name: str, value: str) -> None:
    metadata = {"jetstream_max_bytes": "77", "jetstream_storage": "memory", "jetstream_max_age": "1 h", name: value}
    with pytest.raises(InvalidParameter, match=name) as caught:
        StreamOptions.of(metadata)
    assert caught.value.hint
    options, wrong = StreamOptions.sound(metadata)
    assert len(wrong) == 1 and name in wrong[0].message
    assert options == StreamOptions.of({key: text for key, text in metadata.items() if key != name})


# --- messages ---


def encode(batch: DeliveredBatch, max_payload: int = 1 << 20) -> tuple[dict[str, str], bytes]:
    return Encoder(TOPIC.id, "me").encode(batch, max_payload)


@pytest.mark.parametrize("tenant", [None, TENANT_A])
def test_a_message_brings_the_batch_as_it_was(tenant: TenantId | None) -> None:
    sent = delivered(7, rows=3, tenant=tenant)
    headers, payload = encode(sent)
    assert headers["Nats-Msg-Id"] == f"{TOPIC.id}:7"
    assert pa.ipc.open_stream(payload).read_all().num_rows == 3  # anybody can read it
    arrival = decode(headers, payload)
    assert arrival is not None
    assert (arrival.offset, arrival.delivered) == (7, sent)


def test_a_dictionary_travels_with_its_values() -> None:
    batch = pa.record_batch({"c": pa.array(["a", "b", "a"]).dictionary_encode()})
    headers, payload = encode(DeliveredBatch(Offset(0, MOMENT), MOMENT, batch, None))
    arrival = decode(headers, payload)
    assert arrival is not None and arrival.delivered is not None
    assert arrival.delivered.batch.equals(batch)


@pytest.mark.parametrize("limit", [100, 1024 + 100, 1024 + 900])
def test_what_is_too_large_is_only_told_of(limit: int) -> None:
    headers, payload = encode(delivered(7, rows=30), limit)
    assert payload == b""
    arrival = decode(headers, payload)
    assert arrival is not None
    assert (arrival.offset, arrival.delivered) == (7, None)


def test_a_message_that_is_damaged_or_foreign_brings_no_batch() -> None:
    headers, payload = encode(delivered(7))
    damaged = bytearray(payload)
    damaged[len(payload) // 2] ^= 1
    for changed, data in (
        (headers, bytes(damaged)),
        (headers, payload[:-9]),
        ({**headers, "Jammi-Tenant": "nobody"}, payload),
        ({**headers, "Jammi-Produced-At": "now"}, payload),
        ({**headers, "Jammi-Produced-At": "9" * 18}, payload),
        ({key: value for key, value in headers.items() if key != "Jammi-Checksum"}, payload),
    ):
        arrival = decode(changed, data)
        assert arrival is not None and arrival.delivered is None
    for text in ("", "-1", "7.5", "\u0667", "9" * 30):
        assert decode({**headers, "Jammi-Offset": text}, payload) is None
    assert decode({}, payload) is None


# --- the queue ---


def test_the_queue_drops_the_oldest_and_wakes_once() -> None:
    woken: list[int] = []
    outbox = Outbox(3, 1 << 20, lambda: woken.append(1))
    for offset in range(5):
        outbox.put(TOPIC, delivered(offset))
    assert (len(outbox), outbox.dropped, len(woken)) == (3, 2, 1)
    taken = [outbox.take() for _ in range(4)]
    assert [one and one.delivered.offset.value for one in taken] == [2, 3, 4, None]
    outbox.put(TOPIC, delivered(5))
    assert len(woken) == 2


def test_the_queue_is_bounded_by_bytes_and_holds_one_batch_of_any_size() -> None:
    size = delivered(0, rows=100).batch.nbytes
    outbox = Outbox(100, 3 * size, lambda: None)
    for offset in range(10):
        outbox.put(TOPIC, delivered(offset, rows=100))
    assert len(outbox) == 3
    outbox.put(TOPIC, delivered(10, rows=1000))
    assert len(outbox) == 1
    outbox.put(TOPIC, delivered(11))
    assert len(outbox) == 1


def test_retries_come_ever_later_and_a_success_forgets() -> None:
    retries = Retries(0.1, 0.3)
    assert retries.due("a", 0.0)
    assert retries.pause(0.0, 5.0) == 5.0
    for at in (0.1, 0.2, 0.3, 0.3):
        retries.failed("a", 10.0)
        assert not retries.due("a", 10.0 + at - 0.01)
        assert retries.due("a", 10.0 + at + 0.001)
    assert retries.pause(10.0, 5.0) == pytest.approx(0.3)
    retries.settle("a")
    assert retries.due("a", 0.0)


def test_a_complaint_is_not_repeated_until_it_was_settled(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for _ in range(3):
        complaints.say("a", "broken")
        complaints.say("b", "also")
    complaints.settle("a")
    complaints.say("a", "broken again")
    assert [record.message for record in caplog.records] == ["broken", "also", "broken again"]
