"""Ctrl-C while something is written waits until it is; while rows are waited for it does not."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql.console.files import ParquetFormat
from jammi_sql.ctrl_c import CtrlCHeld


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_is_raised_when_the_writing_is_over() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), CtrlCHeld():
        ctrl_c()
        steps.append("written")
    assert steps == ["written"]
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_it_ends_a_wait_and_the_clean_up_after_it_is_not_disturbed() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), CtrlCHeld() as held:
        try:
            held.wait(ctrl_c)
            steps.append("waited on")
        finally:
            ctrl_c()
            steps.append("cleaned up")
    assert steps == ["cleaned up"]


def test_one_that_was_held_back_ends_the_next_wait_before_it_begins() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), CtrlCHeld() as held:
        ctrl_c()
        held.wait(lambda: steps.append("waited"))
    assert steps == []


def test_a_second_one_is_not_held_back() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), CtrlCHeld():
        ctrl_c()
        steps.append("one")
        ctrl_c()
        steps.append("two")
    assert steps == ["one"]


def test_a_wait_gives_what_it_waited_for() -> None:
    with CtrlCHeld() as held:
        assert held.wait(lambda: 7) == 7


def test_a_program_that_ignores_it_goes_on_ignoring_it() -> None:
    program = (
        "import signal\n"
        "from jammi_sql.ctrl_c import CtrlCHeld\n"
        "with CtrlCHeld() as held:\n"
        "    held.wait(lambda: signal.raise_signal(signal.SIGINT))\n"
        "print('went on')\n"
    )
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "went on\n"


def test_other_threads_write_too() -> None:
    seen = []

    def write() -> None:
        with CtrlCHeld() as held:
            seen.append(held.wait(lambda: 7))

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert seen == [7]


def test_a_wait_in_another_thread_than_it_is_held_in_changes_nothing() -> None:
    held, over = CtrlCHeld(), threading.Event()
    entered = threading.Event()

    def write() -> None:
        with held:
            entered.set()
            over.wait()

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        entered.wait()
        try:
            assert held.wait(lambda: 7) == 7
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        finally:
            over.set()
        writing.result()


class _Interrupted(io.FileIO):
    """A file in whose first write Ctrl-C comes, after the bytes were taken."""

    _written = False

    def write(self, data: Any) -> int:
        taken = super().write(data)
        if not self._written:
            self._written = True
            ctrl_c()
        return taken


def test_a_parquet_file_is_whole_when_ctrl_c_comes_while_its_beginning_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt), io.BufferedWriter(_Interrupted(path, "w")) as out:
        form = ParquetFormat(out)
        with CtrlCHeld() as held:
            form.begin(pa.schema([("x", pa.int64())]))
            try:
                held.wait(lambda: None)
            finally:
                form.end()
    assert pq.read_table(path).column_names == ["x"]
