"""The Java client of Flight SQL, which the JDBC driver is built on. Its jars are not on the machine: whoever has them
names them in ``JAMMI_JAVA_CLASSPATH``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers.jammi import JammiServer
from tests.topic_support import TENANT_A
from tests.wire.test_connecting import certificate

CLASSPATH = os.environ.get("JAMMI_JAVA_CLASSPATH", "")
TRIAL = Path(__file__).with_name("java") / "Trial.java"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not CLASSPATH or shutil.which("java") is None, reason="no jars of the Java client"),
]


def tried(server: JammiServer, *arguments: str) -> None:
    host, _, port = server.uri.partition("://")[2].rpartition(":")
    command = [
        "java",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        "-cp",
        CLASSPATH,
        str(TRIAL),
        host,
        port,
        *arguments,
    ]
    trial = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert trial.returncode == 0, trial.stdout + trial.stderr
    assert "all passed" in trial.stdout


def test_everything_that_the_driver_asks(server: JammiServer) -> None:
    tried(server)


def test_users_tokens_and_certificates(tmp_path: Path) -> None:
    certificate(tmp_path, "server", certificate(tmp_path, "authority"))
    (tmp_path / "tokens").write_text(f"alpha {TENANT_A}\n")
    with JammiServer(
        tmp_path / "store", "--token-file", f"{tmp_path}/tokens", "--tls-cert", f"{tmp_path}/server.pem", "--tls-key",
        f"{tmp_path}/server.key",
    ) as server:  # fmt: skip
        tried(server, "alpha", f"{tmp_path}/authority.pem")
