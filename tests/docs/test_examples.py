"""Every example of the documentation runs and gives what the page says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jammi_sql
from jammi_sql.dialect import parse
from jammi_sql.errors import Error
from tests.servers import stores

from .examples import Block, cells_of_text, cells_of_values, matches, read_blocks

PROJECT = Path(__file__).parents[2]
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])

# Raise it only for what cannot run in a test.
SKIPPED_AT_MOST = 0


class Page:
    """What the blocks of one page share: a store in the working folder, and Python names."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        """Run a block and compare what it gives. Raises ``AssertionError``."""
        expected = block.expected
        if expected is not None and expected.lstrip().startswith("ERROR"):
            try:
                self._give(block)
            except Error as error:
                _compare_error(expected, error)
                return
            raise AssertionError(f"this gives no error, the page says:\n{expected}")
        found = self._give(block)
        if expected is None:
            return
        wanted = cells_of_text(expected) if block.language == "sql" else _lines(expected)
        assert matches(wanted, found), f"the page says:\n{wanted}\nthis gives:\n{found}"

    def _give(self, block: Block) -> list[list[str]]:
        match block.language:
            case "sql":
                return self._sql(block.text)
            case "python":
                return self._python(block)
            case _:
                return self._console(block.text)

    def _sql(self, text: str) -> list[list[str]]:
        if "conn" not in self.names:
            self.names["conn"] = jammi_sql.connect(".jammi")
        with contextlib.closing(self.names["conn"].cursor()) as cursor:
            given: list[list[str]] = []
            for parsed in parse(text):
                cursor.execute(parsed.text)
                if cursor.description is None:
                    given = [[f"{cursor.rowcount} rows"]]
                else:
                    given = cells_of_values([column[0] for column in cursor.description], cursor.fetchall())
            return given

    def _python(self, block: Block) -> list[list[str]]:
        printed = io.StringIO()
        # empty lines before it give the traceback the page's own line numbers
        code = compile("\n" * (block.line - 1) + block.text, "page.md", "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        return _lines(printed.getvalue())

    def _console(self, text: str) -> list[list[str]]:
        """Commands are the lines after ``$``; each must succeed. The others are what they print."""
        printed: list[list[str]] = []
        expected = [line for line in text.splitlines() if not line.startswith(("$ ", "> "))]
        for command in _commands(text):
            done = _run(command)
            assert done.returncode == 0, f"$ {command}\nexit code {done.returncode}\n{done.stdout}"
            printed += _lines(done.stdout)
        wanted = _lines("\n".join(expected))
        assert not wanted or matches(wanted, printed), f"the page says:\n{wanted}\nthis gives:\n{printed}"
        return printed

    def close(self) -> None:
        """Close what the page left open."""
        for value in list(self.names.values()):
            if isinstance(value, jammi_sql.Connection | jammi_sql.Engine):
                value.close()


def _run(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command. After 60 s it is ended with all its children: a live query would outlive the shell."""
    process = subprocess.Popen(
        ["bash", "-c", command],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.returncode, printed)


def _commands(text: str) -> list[str]:
    commands: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif line.startswith("> ") and commands:
            commands[-1] += f"\n{line[2:]}"
    return commands


def _lines(text: str) -> list[list[str]]:
    return [[" ".join(line.split())] for line in text.splitlines() if line.strip()]


def _compare_error(expected: str, error: Error) -> None:
    """``ERROR [SQLSTATE][: a part of the text]``; the hint may follow on a line of its own."""
    head = re.match(r"\s*ERROR\b\s*(?P<state>[0-9A-Z]{5})?\s*:?\s*(?P<rest>.*)", expected, re.DOTALL)
    assert head is not None
    assert head["state"] in (None, error.sqlstate), f"the page says {head['state']}, this is {error.sqlstate}: {error}"
    said = " ".join(str(error).split())
    for line in head["rest"].splitlines():
        assert " ".join(line.split()) in said, f"the page says:\n{expected}\nthis gives:\n{error}"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page's session, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    shared = Page()
    yield shared
    shared.close()


def _label(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=_label)
def test_every_example_of_the_page_runs(
    path: Path, page: Page, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = path.read_text("utf-8")
    if "STORE_URL" in text:  # real servers, as the page's readers have them
        monkeypatch.setenv("STORE_URL", stores.target(request, "postgres", tmp_path))
    for block in read_blocks(text):
        if block.skipped:
            continue
        try:
            page.run(block)
        except Exception as error:
            error.add_note(f"{_label(path)}:{block.line}\n{block.text}")
            raise


def test_few_examples_are_skipped() -> None:
    skipped = [_label(path) for path in PAGES for block in read_blocks(path.read_text("utf-8")) if block.skipped]
    assert len(skipped) <= SKIPPED_AT_MOST, skipped
