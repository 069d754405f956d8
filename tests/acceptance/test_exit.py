"""A process that ends while the engine works ends with its own exit code, not with an abort."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SETUP = """
import sys, threading, jammi_sql
conn = jammi_sql.connect(sys.argv[1])
conn.execute("CREATE TOPIC t (id BIGINT)")
conn.execute("INSERT INTO t SELECT value FROM generate_series(1, 200000)")
began = threading.Event()
def forever(step):
    def run():
        while True:
            step()
            began.set()
    threading.Thread(target=run, daemon=True).start()
"""

_WORK = {
    "an open result": """
cursor = conn.execute("SELECT a.id FROM t AS a CROSS JOIN t AS b")
assert cursor.fetchone() is not None
began.set()
""",
    "a live subscription": """
cursor = conn.execute("SELECT id FROM subscribe('t', from => 0)")
forever(cursor.fetchone)
""",
    "running queries": """
for _ in range(3):
    forever(lambda: conn.execute("SELECT count(*), max(id) FROM t WHERE id % 7 = 1").fetchall())
""",
    "running publishes": """
for _ in range(3):
    forever(lambda: conn.execute("INSERT INTO t VALUES (1)"))
""",
}


@pytest.mark.parametrize("work", _WORK)
def test_a_process_may_end_with(work: str, tmp_path: Path) -> None:
    script = _SETUP + _WORK[work] + "\nassert began.wait(30)\nsys.exit(7)\n"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "store")], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 7, ended.stderr
