"""What all tests share."""

from __future__ import annotations

import ast
import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.nats import NatsServer
from tests.servers.postgres import postgres, postgres_database
from tests.targets import parametrize_stores as pytest_generate_tests
from tests.targets import postgres_target, schemas, store_kind, store_target, wire_servers, wire_target

__all__ = [
    "postgres",
    "postgres_database",
    "postgres_target",
    "pytest_generate_tests",
    "schemas",
    "store_kind",
    "store_target",
    "wire_servers",
    "wire_target",
]

# The default is the same on every run, so that a red test is red for everybody; soak runs look for new cases.
# A machine that stands still while a case is drawn says nothing about the test.
settings.register_profile(
    "default", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough",
    derandomize=False,
    deadline=None,
    max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_parse = ast.parse


def _parse_undisturbed(*args: Any, **options: Any) -> ast.AST:
    """``ast.parse`` without a garbage collection within: one that parses itself, as a traceback that is formatted does,
    makes CPython 3.11 fail with "AST constructor recursion depth mismatch". Hypothesis parses whole files of tests.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return _parse(*args, **options)
    finally:
        if collects:
            gc.enable()


ast.parse = _parse_undisturbed


@pytest.fixture(scope="session", autouse=True)
def bare_processes() -> Iterator[None]:
    """The processes that tests start find no pandas and no polars, as after a plain installation. pyarrow and ADBC load both
    where they are there, which takes longer than all the rest of a start.
    """
    before = os.environ.get("PYTHONPATH")
    bare = str(Path(__file__).parent / "bare")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (bare, before)))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """What a test that runs ``jammi-sql serve`` in its own process sets up there must not reach the next one."""
    logger = logging.getLogger("jammi_sql")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


_FOLDERS = sorted(path for path in Path(__file__).parent.iterdir() if any(path.glob("test_*.py")))


def pytest_configure(config: pytest.Config) -> None:
    """Each worker begins with another folder: to rewrite the assertions of a file takes long, and whose work comes later
    finds what the others have kept."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and config.args == config.getini("testpaths"):
        first = len(_FOLDERS) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        config.args = [str(folder) for folder in (*_FOLDERS[first:], *_FOLDERS[:first])]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All workers have the same order in the end."""
    place = {folder: number for number, folder in enumerate(_FOLDERS)}
    items.sort(
        key=lambda item: next(
            place.get(parent, -1) for parent in item.path.parents if parent.parent == _FOLDERS[0].parent
        )
    )


def pytest_collection_finish() -> None:
    """The 300,000 objects of the tests themselves stay: each full garbage collection would take a third of a second over them."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that failed, and passed when it was run again, is a defect all the same: of the test, or a rare one of the code.
    It is shown as a failure is, so that somebody mends it; it only does not stop a change that has nothing to do with it.
    """
    again = terminalreporter.stats.get("rerun", [])
    if again:
        terminalreporter.section("failed, then run again: each is a defect to mend", "!")
        for report in again:
            terminalreporter.write_sep("_", report.nodeid)
            terminalreporter.write_line(report.longreprtext)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--store postgres`` runs the tests of the language on a real server instead of a private folder, ``--store wire``
    through a server of ours in another process; ``--both-stores`` those of tables on either."""
    parser.addoption("--store", choices=("sqlite", "postgres", "wire"), default="sqlite")
    parser.addoption("--both-stores", action="store_true")


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS server with JetStream that no test stops."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server
