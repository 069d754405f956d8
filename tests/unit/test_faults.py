"""Fault points: inert, armed, registered."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import jammi_sql.faults
from jammi_sql import faults
from jammi_sql.errors import InvalidParameter, OperationalError

PACKAGE = Path(jammi_sql.faults.__file__).parent


def test_every_point_in_the_package_is_registered_and_every_registered_one_is_there() -> None:
    used: list[str] = []
    for file in PACKAGE.rglob("*.py"):
        if file.name != "faults.py":
            used += re.findall(r"faults\.point\(\s*\"([^\"]+)\"", file.read_text(encoding="utf-8"))
            assert not re.search(r"faults\.point\(\s*[^\"\s]", file.read_text(encoding="utf-8")), file
    assert set(used) == set(faults.POINTS)


def test_a_point_that_is_not_armed_does_nothing() -> None:
    faults.point("store.after_begin")
    with faults.armed("store.before_commit", "error"):
        faults.point("store.after_begin")


def test_an_armed_point_fails_until_its_block_ends_and_names_itself() -> None:
    with faults.armed("store.after_begin", "error"):
        for _ in range(2):
            with pytest.raises(OperationalError, match=r"store\.after_begin"):
                faults.point("store.after_begin")
    faults.point("store.after_begin")


def test_the_n_th_time_is_the_only_one() -> None:
    with faults.armed("store.after_begin", "error@2"):
        faults.point("store.after_begin")
        with pytest.raises(OperationalError):
            faults.point("store.after_begin")
        faults.point("store.after_begin")


def test_a_function_is_called_and_an_inner_block_gives_back_to_the_outer_one() -> None:
    seen: list[str] = []
    with faults.armed("store.after_begin", lambda: seen.append("outer")):
        with faults.armed("store.after_begin", lambda: seen.append("inner")):
            faults.point("store.after_begin")
        faults.point("store.after_begin")
    assert seen == ["inner", "outer"]


def test_a_pause_goes_on_afterwards() -> None:
    with faults.armed("store.after_begin", "pause:0"):
        faults.point("store.after_begin")


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("store.nowhere", "kill"),
        ("store.after_begin", ""),
        ("store.after_begin", "explode"),
        ("store.after_begin", "kill:1"),
        ("store.after_begin", "pause"),
        ("store.after_begin", "error@often"),
    ],
)
def test_an_unknown_point_or_action_is_refused_when_it_is_armed(name: str, action: str) -> None:
    with pytest.raises(InvalidParameter), faults.armed(name, action):
        pass
    faults.point("store.after_begin")


def test_the_environment_arms_the_points_of_a_child() -> None:
    script = "from jammi_sql import faults; faults.point('store.after_begin'); faults.point('store.before_commit')"
    environment = {**os.environ, faults.VARIABLE: "store.after_begin=pause:0, store.before_commit=kill@1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    environment[faults.VARIABLE] = "store.nowhere=kill"
    refused = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=False, timeout=60, capture_output=True, text=True
    )
    assert "no fault point is named" in refused.stderr
