"""How doctor says what it found: levels, forms, exit codes, and no passwords."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import orjson
import pytest

import jammi_sql
from jammi_sql.console.main import main
from jammi_sql.doctor.finding import Check, Finding, Level, examine, ok, problem, warning
from jammi_sql.doctor.secrets import Address
from jammi_sql.doctor.sizes import shown_bytes
from jammi_sql.doctor.versions import installed_versions
from jammi_sql.errors import InvalidParameter
from tests.doctor.conftest import Report
from tests.servers.postgres import PostgresServer

Doctor = Callable[..., Report]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    jammi_sql.connect(tmp_path / "store").close()
    return tmp_path / "store"


# --- the command ---


def test_a_store_in_order_gives_0_and_a_line_for_each_check(doctor: Doctor, store: Path) -> None:
    report = doctor(str(store))
    assert report.code == 0
    assert report.err == ""
    assert all(line.startswith("ok ") for line in report.out.splitlines())


def test_a_problem_gives_1_and_what_to_do(doctor: Doctor, tmp_path: Path) -> None:
    report = doctor(str(tmp_path / "none"))
    assert report.code == 1
    assert "problem  connection" in report.out
    assert "-> give the folder of a store" in report.out


def test_a_warning_alone_gives_0(doctor: Doctor, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jammi_sql.doctor.sqlite.log._LARGE", -1)
    report = doctor(str(store))
    assert report.code == 0
    assert "warning  log" in report.out


def test_json_is_a_list_of_findings(doctor: Doctor, tmp_path: Path) -> None:
    report = doctor(str(tmp_path / "none"), "--format", "json")
    assert report.code == 1
    first, last = orjson.loads(report.out)
    assert first["level"] == "ok"
    assert first["advice"] is None
    assert {name: last[name] for name in ("level", "check")} == {"level": "problem", "check": "connection"}
    assert last["message"] == f"there is no folder {tmp_path / 'none'}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["store", "other"],
        ["store", "--format", "xml"],
        ["http://host"],
        ["grpc://host:1"],
        ["store", "--broker", "memory"],
        ["store", "--broker", "http://host"],
    ],
)
def test_wrong_usage_gives_2(doctor: Doctor, arguments: list[str]) -> None:
    report = doctor(*arguments)
    assert report.code == 2
    assert report.out == ""
    assert "jammi-sql doctor" in report.err


def test_the_help_of_the_console_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "jammi-sql doctor" in capsys.readouterr().out


# --- no passwords ---


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:{secret}@127.0.0.1:1/db",
        "postgresql://shop@127.0.0.1:1/db?password={secret}",
        "postgresql://shop:{secret}@127.0.0.1:port/db",
        "postgresql://shop:{secret}@nowhere.invalid/db",
        "postgresql://shop:x@{secret}@127.0.0.1:1/db",
        "postgresql://shop:{secret}/x@127.0.0.1:1/db",
        "postgresql://shop:{secret}#x@127.0.0.1:1/db",
        "postgresql://shop:{secret}?x@127.0.0.1:1/db",
        "postgresql://shop:{secret}:x@127.0.0.1:1/db",
        "postgresql://shop:{secret}%zz@127.0.0.1:1/db",
        "postgresql://shop@127.0.0.1:1/db?passwort={secret}",
        "postgresql://[shop:{secret}@127.0.0.1:1/db",
    ],
)
@pytest.mark.parametrize("form", ["table", "json"])
def test_no_password_is_shown_whatever_is_wrong(doctor: Doctor, url: str, form: str) -> None:
    report = doctor(url.format(secret="hunter2"), "--format", form)
    assert report.code in (1, 2)
    assert report.out + report.err
    assert "hunter2" not in report.out + report.err


@pytest.mark.parametrize("secret", ["hunter2", "hun%40ter2%2F%3A"])
def test_no_password_is_shown_when_the_server_refuses_it(doctor: Doctor, postgres: PostgresServer, secret: str) -> None:
    postgres.start()
    report = doctor(f"postgresql://shop:{secret}@127.0.0.1:{postgres.port}/postgres")
    assert report.code == 1
    assert "password authentication failed" in report.out
    assert "hun" not in report.out + report.err


@pytest.mark.parametrize("url", ["nats://hunter2@127.0.0.1:1", "nats://shop:hunter2@127.0.0.1:1", "nats://hunter2@h:x"])
def test_no_credential_of_a_broker_is_shown(doctor: Doctor, store: Path, url: str) -> None:
    report = doctor(str(store), "--broker", url)
    assert report.code in (1, 2)
    assert "hunter2" not in report.out + report.err


def test_an_address_shows_what_is_no_secret() -> None:
    address = Address.of("postgresql://shop:a%40b@[::1]:5432/db?sslmode=require&password=c%20d")
    assert address.shown == "postgresql://shop@[::1]:5432/db"
    assert address.redacted("a@b, a%40b and c d") == "***, *** and ***"


@pytest.mark.parametrize("url", ["nats://a:b@c@host", "nats://host:port", "nats://a:b/c@host"])
def test_an_address_in_which_a_password_may_be_anywhere_is_refused(url: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Address.of(url)
    assert "%40" in (refused.value.hint or "")


# --- checks ---


def test_a_check_that_fails_is_a_problem_and_the_others_are_looked_at() -> None:
    checks = (
        Check("first", lambda subject: 1 / subject),  # type: ignore[arg-type,return-value]
        Check("second", lambda subject: [ok("fine")]),
    )
    found = list(examine(0, checks))
    assert [(each.check, each.level) for each in found] == [("first", Level.PROBLEM), ("second", Level.OK)]
    assert "ZeroDivisionError" in found[0].message


@pytest.mark.parametrize("found", [problem("p", "a"), warning("w", "a")])
def test_after_a_vital_check_that_is_not_fine_the_others_are_left_out(found: Finding) -> None:
    checks = (Check("first", lambda subject: [found], vital=True), Check("second", lambda subject: [ok("fine")]))
    assert [each.check for each in examine(None, checks)] == ["first"]


def test_versions_are_compared_with_what_the_package_asks_for() -> None:
    def version_of(name: str) -> str:
        if name == "nats-py":
            raise metadata.PackageNotFoundError(name)
        return {"datafusion": "56.0.1", "pyarrow": "25.9", "orjson": "3.10.0rc1"}.get(name, metadata.version(name))

    found = list(installed_versions(["nats-py"], version_of))
    assert [each.level.value for each in found] == ["ok", "warning", "warning", "problem"]
    assert found[1].message == "datafusion 56.0.1 was not tried: >=55.0,<56 is wanted"
    assert found[2].advice == "pip install 'pyarrow>=26.0'"
    assert found[3].message == "nats-py is not installed"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_bytes_are_shown_for_people(size: int, shown: str) -> None:
    assert shown_bytes(size) == shown
