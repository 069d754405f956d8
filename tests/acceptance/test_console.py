"""The console, as it is typed: most tests call it in this process, those about pipes and signals start a real one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jammi_sql
from jammi_sql.console.commands import HELP
from jammi_sql.console.format_names import FORMAT_NAMES
from jammi_sql.console.formats import FORMATS
from jammi_sql.console.main import DEFAULT_TARGET, main
from jammi_sql.console.shell import is_complete

Console = Callable[..., tuple[int, str, str]]

COMMAND = [sys.executable, "-c", "import sys; from jammi_sql.console.main import main; sys.exit(main())"]
VALUES = """
    SELECT 1 AS number, 1.50::DECIMAL(5,2) AS price, 0.5 AS ratio, true AS yes, 'a|b' AS text, X'00ff' AS bytes,
           DATE '2020-01-02' AS day, TIMESTAMP '2020-01-02 03:04:05.5' AS moment, [1, NULL] AS list,
           INTERVAL '1 month 2 days 3.5 seconds' AS span, CAST(NULL AS VARCHAR) AS nothing, '' AS empty
"""


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


def _publish(store: str, *values: int) -> None:
    with jammi_sql.connect(store) as connection:
        connection.execute("CREATE TOPIC IF NOT EXISTS t (x INT)")
        connection.cursor().executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])


# --- formats --------------------------------------------------------------------------------------


def test_a_table_aligns_numbers_to_the_right_and_shows_null(console: Console) -> None:
    assert console("-c", "SELECT * FROM (VALUES (1, 'a'), (100, NULL)) AS t(number, text) ORDER BY number") == (
        0,
        "number | text\n-------+-----\n     1 | a\n   100 | NULL\n",
        "",
    )


def test_a_table_without_rows_has_its_header(console: Console) -> None:
    assert console("-c", "SELECT 1 AS number WHERE false")[1] == "number\n------\n"


def test_a_table_sends_no_control_characters_to_the_terminal(console: Console) -> None:
    (_, out, _) = console("-c", "SELECT chr(27) || '[2J' || chr(10) || chr(9) AS text")
    assert out.splitlines()[2] == "\\u001b[2J\\n\\t"


def test_a_table_counts_wide_characters(console: Console) -> None:
    (_, out, _) = console("-c", "SELECT '日本' AS a, 1 AS b")
    assert out == "a    | b\n-----+--\n日本 | 1\n"


def test_every_kind_of_value_in_a_table(console: Console) -> None:
    (_, out, _) = console("-c", VALUES)
    assert [part.strip() for part in out.splitlines()[2].replace("a|b", "a/b").split("|")] == [
        "1",
        "1.50",
        "0.5",
        "true",
        "a/b",
        "\\x00ff",
        "2020-01-02",
        "2020-01-02 03:04:05.500000",
        "[1,null]",
        "1 months 2 days 3.5 seconds",
        "NULL",
        "",
    ]


def test_csv_tells_null_from_empty_and_quotes_what_it_must(console: Console) -> None:
    (code, out, _) = console("--format", "csv", "-c", VALUES)
    assert code == 0
    assert out.splitlines()[1] == (
        '1,1.50,0.5,true,"a|b","\\x00ff",2020-01-02,"2020-01-02 03:04:05.500000","[1,null]",'
        '"1 months 2 days 3.5 seconds",,""'
    )


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_keeps_numbers_and_nesting(console: Console, form: str) -> None:
    (code, out, _) = console("--format", form, "-c", VALUES)
    assert code == 0
    assert '"price":1.50' in out
    row = json.loads(out)[0] if form == "json" else json.loads(out)
    assert row == {
        "number": 1,
        "price": 1.5,
        "ratio": 0.5,
        "yes": True,
        "text": "a|b",
        "bytes": "\\x00ff",
        "day": "2020-01-02",
        "moment": "2020-01-02T03:04:05.500000",
        "list": [1, None],
        "span": "1 months 2 days 3.5 seconds",
        "nothing": None,
        "empty": "",
    }


def test_json_of_no_rows_is_an_empty_array_and_jsonl_nothing(console: Console) -> None:
    assert console("--format", "json", "-c", "SELECT 1 AS x WHERE false")[1] == "[]\n"
    assert console("--format", "jsonl", "-c", "SELECT 1 AS x WHERE false")[1] == ""


def test_json_keeps_both_columns_of_one_name(console: Console) -> None:
    (_, out, _) = console(
        "--format", "jsonl", "-c", "SELECT * FROM (SELECT 1 AS a) AS x JOIN (SELECT 2 AS a) AS y ON true"
    )
    assert json.loads(out) == {"a": 1, "a_2": 2}


def test_markdown_escapes_the_bar(console: Console) -> None:
    assert console("--format", "markdown", "-c", "SELECT 1 AS n, 'a|b' AS text")[1] == (
        "| n | text |\n| ---: | --- |\n| 1 | a\\|b |\n"
    )


def test_arrow_and_parquet_hold_the_result_as_it_is(console: Console, tmp_path: Path) -> None:
    query = "SELECT x, arrow_cast(x, 'UInt16') AS y FROM generate_series(1, 20000) AS t(x) ORDER BY x"
    arrow, parquet = str(tmp_path / "x.arrow"), str(tmp_path / "x.parquet")
    assert console("--format", "arrow", "--output", arrow, "-c", query) == (0, "", "")
    assert console("--format", "parquet", "--output", parquet, "-c", query) == (0, "", "")
    with pa.ipc.open_stream(Path(arrow).read_bytes()) as reader:
        table = reader.read_all()
    assert table.schema.types == [pa.int64(), pa.uint16()]
    assert table.num_rows == 20_000
    assert pq.read_table(parquet).equals(table)


def test_parquet_goes_through_a_pipe(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    (out, _) = process("--format", "parquet", "-c", "SELECT 1 AS x").communicate(timeout=60)
    assert pq.read_table(io.BytesIO(out)).to_pydict() == {"x": [1]}


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_file_of_one_result_refuses_a_second(console: Console, tmp_path: Path, form: str) -> None:
    (code, _, err) = console("--format", form, "--output", str(tmp_path / "x"), "-c", "SELECT 1; SELECT 2")
    assert code == 1
    assert "holds one result" in err


def test_output_goes_to_the_file_and_nothing_to_standard_output(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert console("--format", "csv", "--output", str(path), "-c", "SELECT 1 AS a; SELECT 2 AS b") == (0, "", "")
    assert path.read_text() == '"a"\n1\n"b"\n2\n'


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
    assert console("--tenant", tenant, "--format", "csv", "-c", "SELECT count(*) AS n FROM mine")[1] == '"n"\n1\n'
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
    assert console("--format", "csv", "-c", "SELECT count(*) AS n FROM t")[1] == '"n"\n0\n'


def test_the_target_is_a_folder_of_the_working_directory_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-c", "CREATE TOPIC t (x INT)"]) == 0
    assert (tmp_path / DEFAULT_TARGET / "jammi.db").exists()


# --- errors ---------------------------------------------------------------------------------------


def test_an_error_shows_its_place_and_hint_and_stops_the_rest(console: Console) -> None:
    (code, out, err) = console("--format", "csv", "-c", "SELECT 1 AS a;\n  SELECT *\n  FROM nope;\nSELECT 2 AS b")
    assert (code, out) == (1, '"a"\n1\n')
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
    assert console("--format", "csv", "-c", "SELECT count(*) AS n FROM jammi.system.topics")[1] == '"n"\n0\n'


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


def test_the_formats_of_the_help_are_those_that_are_there() -> None:
    assert list(FORMAT_NAMES) == list(FORMATS)


# --- pipes and signals: real processes ------------------------------------------------------------


def test_piped_input_runs_and_exits(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("--format", "csv", stdin=subprocess.PIPE)
    (out, err) = child.communicate(b"SELECT 1 AS a;\nSELECT 2 AS b", timeout=60)
    assert (child.returncode, out, err) == (0, b'"a"\n1\n"b"\n2\n', b"")


def test_an_error_in_piped_input_is_1(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process(stdin=subprocess.PIPE)
    (out, err) = child.communicate(b"SELECT nope", timeout=60)
    assert (child.returncode, out) == (1, b"")
    assert b"<stdin> 1: SELECT nope" in err


def test_a_reader_that_has_seen_enough_is_no_error(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("--format", "csv", "-c", "SELECT x FROM generate_series(1, 10000000) AS t(x)")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == b'"x"\n'
    child.stdout.close()
    assert child.wait(60) == 0
    assert child.stderr.read() == b""


needs_a_full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")


@needs_a_full_device
@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_a_disk_that_is_full_is_an_error(console: Console, form: str) -> None:
    many = "SELECT x FROM generate_series(1, 10000) AS t(x)"
    (code, _, err) = console("--format", form, "--output", "/dev/full", "-c", many)
    assert code == 1
    assert err == "jammi-sql: the results cannot be written: No space left on device\n"


def test_output_may_be_a_device(console: Console) -> None:
    assert console("--output", os.devnull, "-c", "SELECT 1") == (0, "", "")


@pytest.mark.parametrize(("closed", "out"), [(0, b'"a"\n1\n'), (1, b""), (2, b'"a"\n1\n')])
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
        ("csv", b'"x"\n', (b"1\n", b"2\n", b"3\n")),
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


# --- a person in front ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; -- done", True),
        ("SELECT 1", False),
        ("SELECT 1; SELECT 2", False),
        ("SELECT ';", True),
        ("SELECT 'open", False),
        ("SELECT /* open", False),
        ("", True),
        ("-- nothing", True),
        (";", True),
    ],
)
def test_a_statement_is_complete_at_its_semicolon(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.fixture
def person(
    store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Types lines at the plain prompt; gives standard output and standard error."""

    def types(*lines: str | BaseException) -> tuple[str, str]:
        left: Iterator[str | BaseException] = iter([*lines, "\\q"])

        def typed(prompt: str = "") -> str:
            line = next(left)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr("builtins.input", typed)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        assert main([store]) == 0
        return capsys.readouterr()

    return types


def test_a_person_types_statements_over_several_lines(person: Callable[..., tuple[str, str]]) -> None:
    (out, err) = person(
        "SELECT 1", "AS a;", "SELECT nope;", "SELECT", KeyboardInterrupt(), "\\what", "\\?", "SELECT 2 AS b;"
    )
    assert out == "a\n-\n1\nb\n-\n2\n"
    assert "error 42703" in err
    assert "there is no \\what; \\? lists the commands" in err
    assert HELP in err


def test_commands_list_what_there_is(person: Callable[..., tuple[str, str]], tmp_path: Path) -> None:
    (out, err) = person(
        "\\format csv",
        'CREATE TOPIC "Odd ""topic" (x INT);',
        "CREATE TABLE stock (item VARCHAR, PRIMARY KEY (item));",
        f"ATTACH '{tmp_path}' AS shop (TYPE files);",
        "\\d",
        '\\d "Odd ""topic"',
        "\\dt",
        "\\topics Od%",
        "\\topics it's",
        "\\sources;",
        "\\d nope",
    )
    assert '"public","Odd ""topic","topic",1,0\n"public","stock","table",1,0\n' in out
    assert '"x","INTEGER","YES",\n' in out or '"x","INT","YES",\n' in out
    assert out.count('"stock","table"') == 2
    assert out.count('"Odd ""topic"') == 2
    assert f'"shop","files","{tmp_path}"' in out
    assert err.count("error ") == 1
    assert "error 42P01" in err


def test_help_has_the_grammar_of_statements(person: Callable[..., tuple[str, str]]) -> None:
    (_, err) = person("\\h", "\\h create topic", "\\h nothing", "help")
    assert "SHOW SOURCES\n" in err
    assert "CREATE [GLOBAL] TOPIC [IF NOT EXISTS] name (column type [NOT NULL]" in err
    assert "there is no help for nothing; \\h lists the statements" in err
    assert HELP in err


def test_results_go_to_a_file_in_a_format_and_back(person: Callable[..., tuple[str, str]], tmp_path: Path) -> None:
    (csv, parquet, script) = (tmp_path / "x.csv", tmp_path / "x.parquet", tmp_path / "x.sql")
    script.write_text("SELECT 3 AS c;\nSELECT 4 AS d")
    (out, err) = person(
        "\\format parquet",
        "\\format csv",
        f"\\o {csv}",
        "SELECT 1 AS a;",
        f"\\o {parquet}",
        "\\format parquet",
        "SELECT 2 AS b;",
        "\\o",
        f"\\i {script}",
        "\\i nowhere.sql",
        f"\\o {tmp_path / 'missing' / 'x'}",
        "\\format xml",
    )
    assert csv.read_text() == '"a"\n1\n'
    assert pq.read_table(parquet).to_pydict() == {"b": [2]}
    assert out == "c\n-\n3\nd\n-\n4\n"
    assert "parquet is not for a terminal: \\o FILE first" in err
    assert "nowhere.sql: No such file" in err
    assert "missing" in err
    assert "there is no format xml" in err


@needs_a_full_device
def test_a_full_disk_gives_a_person_the_terminal_back(person: Callable[..., tuple[str, str]]) -> None:
    (out, err) = person("\\o /dev/full", "SELECT 1 AS a;", "SELECT 2 AS b;")
    assert "the results cannot be written: No space left on device" in err
    assert out == "b\n-\n2\n"


def test_a_person_speaks_for_a_tenant(person: Callable[..., tuple[str, str]]) -> None:
    tenant = str(uuid.uuid4())
    (out, err) = person(
        f"\\tenant {tenant}", "SHOW tenant;", "\\tenant -", "\\tenant '; DROP", "\\format csv", "SHOW tenant;"
    )
    assert f"the tenant is {tenant}" in err
    assert "the tenant is none" in err
    assert "\\tenant: a tenant is a UUID" in err
    assert tenant in out
    assert out.splitlines()[-1] == ""


def test_switches_say_what_they_are(person: Callable[..., tuple[str, str]]) -> None:
    (_, err) = person(
        "\\timing",
        "SELECT 1;",
        "\\timing off",
        "\\timing maybe",
        "\\limit off",
        "\\limit 0",
        "\\pager",
        "\\watch x",
        "\\chart x",
        "\\dt x",
        "\\q x",
    )
    lines = err.splitlines()
    assert [line for line in lines if "timing is" in line] == ["jammi> timing is on", "jammi> timing is off"]
    assert sum(line.startswith("jammi> time: ") for line in lines) == 1
    assert "jammi> \\timing takes on or off" in lines
    assert "jammi> \\dt takes nothing after it" in lines
    assert "jammi> \\q takes nothing after it" in lines
    assert "jammi> all rows are shown" in lines
    assert "jammi> \\limit takes a number of rows, or off" in lines
    assert "jammi> the pager is off" in lines
    assert "jammi> \\watch takes a number of seconds, up to a day" in lines
    assert "jammi> the last result has no column x; it has Int64(1)" in lines


def test_the_end_of_input_leaves(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(prompt: str = "") -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([store]) == 0


def test_a_wrong_statement_leaves_the_output_file_as_it_was(console: Console, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("keep\n")
    assert console("--format", "csv", "--output", str(kept), "-c", "SELEC 1")[0] == 1
    assert kept.read_text() == "keep\n"
    assert console("--format", "csv", "--output", str(kept), "-c", "SELECT 1 AS x")[0] == 0
    assert kept.read_text() == '"x"\n1\n'


def test_a_parquet_file_has_no_column_twice(console: Console, tmp_path: Path) -> None:
    query = "SELECT x.a, y.a FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS a) AS y"
    (code, _, err) = console("--format", "parquet", "--output", str(tmp_path / "x.parquet"), "-c", query)
    assert code == 1
    assert err.startswith("error 42701: ")
