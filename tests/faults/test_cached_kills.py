"""Processes that die in the middle of a refresh of a cached table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jammi_sql import connect, faults

WORK = """
import sys
from jammi_sql import connect
with connect(sys.argv[1], compaction=False) as connection:
    connection.execute(sys.argv[2])
"""
POINTS = [name for name in faults.POINTS if name.startswith("cache.")]


def killed(store: Path, point: str, statement: str) -> None:
    environment = {**os.environ, faults.VARIABLE: f"{point}=kill"}
    done = subprocess.run([sys.executable, "-c", WORK, str(store), statement], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_who_dies_in_a_refresh_leaves_one_copy_or_the_other_and_no_files(tmp_path: Path, point: str) -> None:
    store = tmp_path / "store"
    with connect(store, compaction=False) as connection:
        connection.execute("CREATE TABLE t (id BIGINT)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("CREATE CACHED TABLE c AS SELECT id FROM t")
        connection.execute("INSERT INTO t VALUES (2)")
    killed(store, point, "REFRESH TABLE c")
    if point == "cache.before_file":
        killed(store, "cache.after_file", "CREATE CACHED TABLE d AS SELECT id FROM t")
    with connect(store, compaction=False, segment_grace=0) as connection:
        expected = 2 if point == "cache.after_switch" else 1
        assert connection.execute("SELECT count(*) FROM c").fetchone() == (expected,)
        connection.engine.services.caches.sweeper.round(threading.Event())
        assert len(list((store / "cached").rglob("*.*"))) == 1
        assert connection.execute("SELECT count(*) FROM c").fetchone() == (expected,)
        connection.execute("REFRESH TABLE c")
        assert connection.execute("SELECT count(*) FROM c").fetchone() == (2,)
        assert connection.execute("SELECT name FROM jammi.system.tables WHERE kind = 'cached'").fetchall() == [("c",)]
