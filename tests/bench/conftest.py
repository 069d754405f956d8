"""The report that all benchmarks of a run share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from .measure import Report

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / ".bench" / "results.json"
JAMMI_AI = "jammi-ai[embedded]==0.54.*"


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


@pytest.fixture(scope="session")
def jammi_ai(project: Path, report: Report) -> Path:
    """The interpreter of an environment with jammi-ai, made when it is not there yet."""
    folder = project / ".bench" / "jammi-ai"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", JAMMI_AI]
        installed = subprocess.run(install, capture_output=True, text=True, check=False)
        if installed.returncode:
            report.add("jammi-ai 0.54", "could not be installed", installed.stderr.strip().splitlines()[-1])
            pytest.skip(f"{JAMMI_AI} could not be installed")
        (folder / ".installed").touch()
    return python
