"""The console on a store of its own, in this process or in one of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jammi_sql.console.main import main
from tests.acceptance.console.support import COMMAND, Console


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def console(store: str, capsysbinary: pytest.CaptureFixture[bytes]) -> Console:
    """Runs the console on a store of its own; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([store, *arguments])
        captured = capsysbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return run


@pytest.fixture
def process(store: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts real processes, all of which are gone at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [*COMMAND, store, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()
