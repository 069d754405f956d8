"""The console, as it is typed: most tests call it in this process, those about pipes and signals start a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest

import jammi_sql
from jammi_sql.console.main import main
from jammi_sql.console.target import DEFAULT_TARGET
from tests.acceptance.console.support import COMMAND, Console, needs_a_full_device


def _publish(store: str, *values: int) -> None:
    with jammi_sql.connect(store) as connection:
        connection.execute("CREATE TOPIC IF NOT EXISTS t (x INT)")
        connection.cursor().executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])


# --- what runs, and in which order ----------------------------------------------------------------


def test_texts_and_files_run_in_the_order_given(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text("\ufeffSELECT 2 AS n; -- two\nSELECT 3 AS n", encoding="utf-8")
    (code, out, _) = console("--format", "jsonl", "-c", "SELECT 1 AS n", "-f", str(file), "-c", "SELECT 4 AS n;;")
    assert code == 0
    assert [json.loads(line)["n"] for line in out.splitlines()] == [1, 2, 3, 4]


def test_what_is_written_is_counted_on_standard_error(console: Console) -> None:
    assert console("-c", "CREATE TOPIC t (x INT); INSERT INTO t VALUES (1), (2); INSERT INTO t VALUES (3)") == (
        0,
        "",
        "2 rows\n1 row\n",
    )


def test_a_tenant_sees_its_own(console: Console) -> None:
    tenant = str(uuid.uuid4())
    assert console("--tenant", tenant, "-c", "CREATE TOPIC mine (x INT); INSERT INTO mine VALUES (1)")[0] == 0
    assert console("--tenant", tenant, "--format", "csv", "-c", "SELECT count(*) AS n FROM mine")[1] == "n\n1\n"
    (code, _, err) = console("-c", "SELECT * FROM mine")
    assert code == 1
    assert "42P01" in err


def test_read_only_refuses_to_write(console: Console) -> None:
    console("-c", "CREATE TOPIC t (x INT)")
    (code, _, err) = console("--read-only", "-c", "INSERT INTO t VALUES (1)")
    assert code == 1
    assert err.startswith("error 25006: ")


def test_a_transaction_left_open_is_undone_and_said_so(console: Console) -> None:
    console("-c", "CREATE TOPIC t (x INT)")
    (code, _, err) = console("-c", "BEGIN; INSERT INTO t VALUES (1)")
    assert code == 1
    assert "was left open" in err
    assert console("--format", "csv", "-c", "SELECT count(*) AS n FROM t")[1] == "n\n0\n"


def test_the_target_is_a_folder_of_the_working_directory_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-c", "CREATE TOPIC t (x INT)"]) == 0
    assert (tmp_path / DEFAULT_TARGET / "jammi.db").exists()


# --- errors ---------------------------------------------------------------------------------------


def test_an_error_shows_its_place_and_hint_and_stops_the_rest(console: Console) -> None:
    (code, out, err) = console("--format", "csv", "-c", "SELECT 1 AS a;\n  SELECT *\n  FROM nope;\nSELECT 2 AS b")
    assert (code, out) == (1, "a\n1\n")
    lines = err.splitlines()
    assert lines[0].startswith("error 42P01: ")
    assert lines[1] == "line 3:   FROM nope"
    assert lines[2].index("^") == lines[1].index("nope")
    assert lines[3].startswith("hint: ")


def test_an_error_in_a_file_names_file_and_line(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text("SELECT 1;\n\nSELECT nope;")
    (code, _, err) = console("-f", str(file))
    assert code == 1
    assert f"{file} 3: SELECT nope" in err


def test_a_syntax_error_anywhere_keeps_the_script_from_starting(console: Console) -> None:
    (code, out, err) = console("-c", "CREATE TOPIC t (x INT); SELECT 'open")
    assert (code, out) == (1, "")
    assert err.startswith("error 42601: ")
    assert console("--format", "csv", "-c", "SELECT count(*) AS n FROM jammi.system.topics")[1] == "n\n0\n"


def test_the_caret_stands_right_under_wide_characters(console: Console) -> None:
    (_, _, err) = console("-c", "SELECT '日本', nope")
    (line, caret) = err.splitlines()[1:3]
    assert caret.index("^") == line.index("nope") + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml"], "invalid choice"),
        (["--tenant", "me", "-c", "SELECT 1"], "--tenant: a tenant is a UUID"),
        (["-f", "missing.sql"], "missing.sql: No such file"),
        (["--output", os.path.join("missing", "x"), "-c", "SELECT 1"], "No such file"),
        (["--what"], "unrecognized arguments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_2(store: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    try:
        code: object = main([store, *arguments])
    except SystemExit as leaving:
        code = leaving.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


@pytest.mark.parametrize("arguments", [[""], ["doctor", ""], ["compact", ""], ["serve", "--store", ""]])
def test_an_empty_target_is_wrong_usage_and_no_store_in_memory(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*arguments])
    assert leaving.value.code == 2
    assert "it is empty" in capsys.readouterr().err


def test_a_server_for_everybody_needs_identities(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "--token-file" in capsys.readouterr().err


def test_a_target_that_cannot_be_opened_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    assert main([str(file), "-c", "SELECT 1"]) == 1
    assert capsys.readouterr().err.startswith("error ")


_ENGINE = {"datafusion", "numpy", "pyarrow", "jammi_sql.engine"}

_OTHERS = {"duckdb", "grpc", "nats", "pandas", "plotext", "polars", "pyarrow.flight", "pygments", "sqlglot"}


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich", "importlib.resources", "asyncio"}),
        (["--version"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich", "importlib.resources", "asyncio"}),
        (["serve", "--help"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich", "importlib.resources", "asyncio"}),
        (["compact", "--help"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich", "importlib.resources", "asyncio"}),
        (["doctor", "--help"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich", "importlib.resources", "asyncio"}),
        ([":memory:", "-f", "nowhere.sql"], _ENGINE | _OTHERS | {"prompt_toolkit", "rich"}),
        ([":memory:", "-c", "SELECT 1"], _OTHERS | {"prompt_toolkit", "urllib.request", "http.client"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], absent: set[str]) -> None:
    program = (
        "import sys\nfrom jammi_sql.console.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(set(sys.stdin.read().split()) & set(sys.modules)), file=sys.stderr)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        input=" ".join(absent).encode(),
        capture_output=True,
        timeout=60,
    )
    assert child.stderr.splitlines()[-1] == b"[]"


# --- pipes and signals: real processes ------------------------------------------------------------


def test_piped_input_runs_and_exits(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("--format", "csv", stdin=subprocess.PIPE)
    (out, err) = child.communicate(b"SELECT 1 AS a;\nSELECT 2 AS b", timeout=60)
    assert (child.returncode, out, err) == (0, b"a\n1\nb\n2\n", b"")


def test_an_error_in_piped_input_is_1(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process(stdin=subprocess.PIPE)
    (out, err) = child.communicate(b"SELECT nope", timeout=60)
    assert (child.returncode, out) == (1, b"")
    assert b"<stdin> 1: SELECT nope" in err


def test_a_reader_that_has_seen_enough_is_no_error(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("--format", "csv", "-c", "SELECT x FROM generate_series(1, 10000000) AS t(x)")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == b"x\n"
    child.stdout.close()
    assert child.wait(60) == 0
    assert child.stderr.read() == b""


@needs_a_full_device
@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_a_disk_that_is_full_is_an_error(console: Console, form: str) -> None:
    many = "SELECT x FROM generate_series(1, 10000) AS t(x)"
    (code, _, err) = console("--format", form, "--output", "/dev/full", "-c", many)
    assert code == 1
    assert err == "jammi-sql: the results cannot be written: No space left on device\n"


def test_output_may_be_a_device(console: Console) -> None:
    assert console("--output", os.devnull, "-c", "SELECT 1") == (0, "", "")


@pytest.mark.parametrize(("closed", "out"), [(0, b"a\n1\n"), (1, b""), (2, b"a\n1\n")])
def test_a_closed_stream_is_as_nothing(store: str, closed: int, out: bytes) -> None:
    # Of Python itself: a shell's redirection to &- does the same.
    program = f"import os, sys; os.close({closed}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    arguments = [*COMMAND[1:], store, "--format", "csv", "-c", "SELECT 1 AS a"]
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (child.stdout, child.stderr) == (out, b"")


def _line(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.readline()


@pytest.mark.parametrize(
    ("form", "header", "rows"),
    [
        ("csv", b"x\n", (b"1\n", b"2\n", b"3\n")),
        ("jsonl", b"", (b'{"x":1}\n', b'{"x":2}\n', b'{"x":3}\n')),
        ("table", b"x\n-\n", (b"1\n", b"2\n", b"3\n")),
        ("markdown", b"| x |\n| ---: |\n", (b"| 1 |\n", b"| 2 |\n", b"| 3 |\n")),
    ],
)
def test_a_live_result_comes_line_by_line_until_ctrl_c(
    process: Callable[..., subprocess.Popen[bytes]],
    store: str,
    form: str,
    header: bytes,
    rows: tuple[bytes, ...],
) -> None:
    _publish(store, 1, 2)
    child = process("--format", form, "-c", "SELECT x FROM subscribe('t', from => 'earliest')")
    for line in [*header.splitlines(keepends=True), *rows[:2]]:
        assert _line(child.stdout) == line
    _publish(store, 3)
    assert _line(child.stdout) == rows[2]
    child.send_signal(signal.SIGINT)
    (out, err) = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"", b"")


def test_json_and_parquet_are_whole_after_ctrl_c(
    process: Callable[..., subprocess.Popen[bytes]], store: str, tmp_path: Path
) -> None:
    _publish(store, 1)
    live = "SELECT x FROM subscribe('t', from => 'earliest')"
    child = process("--format", "json", "-c", live)
    assert _line(child.stdout) == b"[\n"
    assert child.stdout is not None
    assert child.stdout.read(7) == b'{"x":1}'
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == b"\n]\n"
    assert child.returncode == 130

    path = tmp_path / "x.parquet"
    child = process("--format", "parquet", "--output", str(path), "-c", live)
    while not path.exists() or not path.stat().st_size:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert pq.read_table(path).column_names == ["x"]
