"""What doctor finds at a NATS server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import jammi_sql
from jammi_sql.doctor import nats as broker_checks
from jammi_sql.doctor.finding import examine
from jammi_sql.doctor.nats import Server
from jammi_sql.doctor.secrets import Address
from tests.doctor.conftest import found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    jammi_sql.connect(tmp_path / "store").close()
    return tmp_path / "store"


def test_a_server_in_order_has_nothing_to_complain_of(store: Path, nats: Callable[..., int]) -> None:
    report = found(store, f"nats://127.0.0.1:{nats()}")
    assert report.bad == []
    for check in ("connection", "encryption", "JetStream", "limits", "payload"):
        assert report.level(f"broker {check}") == "ok"
    assert "1.0 MiB" in report.text("broker payload")


def test_a_server_without_jetstream_is_a_problem(store: Path, nats: Callable[..., int]) -> None:
    report = found(store, f"nats://127.0.0.1:{nats(jetstream=False)}")
    assert report.bad == ["broker JetStream"]
    assert "-js" in report.text("broker JetStream")
    assert "broker limits" not in report.checks


def test_messages_that_are_small_are_a_warning(store: Path, nats: Callable[..., int]) -> None:
    report = found(store, f"nats://127.0.0.1:{nats(max_payload=1000)}")
    assert report.bad == ["broker payload"]
    assert "1000 bytes" in report.text("broker payload")


def test_a_wrong_password_is_a_problem_that_does_not_show_it(store: Path, nats: Callable[..., int]) -> None:
    port = nats(authorization={"user": "shop", "password": "sesame"})
    assert found(store, f"nats://shop:sesame@127.0.0.1:{port}").bad == []
    report = found(store, f"nats://shop:barley@127.0.0.1:{port}")
    assert report.bad == ["broker connection"]
    assert "Authorization Violation" in report.text("broker connection")
    assert "barley" not in report.text("broker connection")


def test_nobody_there_is_a_problem(store: Path) -> None:
    report = found(store, "nats://127.0.0.1:1")
    assert report.bad == ["broker connection"]
    assert "refused" in report.text("broker connection").lower()


def test_a_store_that_is_not_there_does_not_hide_the_broker(tmp_path: Path) -> None:
    assert found(tmp_path / "none", "nats://127.0.0.1:1").bad == ["connection", "broker connection"]


def server(url: str = "nats://10.0.0.1", *, encrypted: bool = False, **account: object) -> Server:
    figures = {"storage": 0, "memory": 0, "streams": 0, "consumers": 0, "limits": {}, **account}
    return Server(Address.of(url), "2.12.0", 0.001, 1 << 20, encrypted, figures, "")


@pytest.mark.parametrize(
    ("account", "level"),
    [
        ({"storage": 95, "limits": {"storage": 100}}, "warning"),
        ({"storage": 50, "limits": {"storage": 100}}, "ok"),
        ({"storage": 95, "limits": {"storage": -1}}, "ok"),
        ({"limits": {"storage": 0}}, "problem"),
        ({"streams": 10, "limits": {"streams": 10}}, "warning"),
        ({"consumers": 10, "limits": {"consumers": 1000}}, "ok"),
    ],
)
def test_an_account_that_is_nearly_full_is_told(account: dict[str, object], level: str) -> None:
    findings = [each for each in examine(server(**account), broker_checks.CHECKS) if each.check == "broker limits"]
    assert [each.level.value for each in findings] == [level]


@pytest.mark.parametrize(
    ("url", "encrypted", "level"),
    [
        ("nats://10.0.0.1:4222", False, "warning"),
        ("nats://127.0.0.1.example.org", False, "warning"),
        ("tls://10.0.0.1", True, "ok"),
        ("nats://shop:secret@localhost:4222", False, "ok"),
    ],
)
def test_an_open_connection_over_a_network_is_a_warning(url: str, encrypted: bool, level: str) -> None:
    findings = list(examine(server(url, encrypted=encrypted), broker_checks.CHECKS))
    assert [each.level.value for each in findings if each.check == "broker encryption"] == [level]
