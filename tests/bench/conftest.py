"""The report that all benchmarks of a run share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from .measure import Report

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / ".bench" / "results.json"


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    """Where figures go; shown as one table at the end, and written to ``.bench/results.json``."""
    report = Report()
    yield report
    print()
    report.show(Console(width=118))
    report.write(RESULTS)


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the checkout."""
    return PROJECT
