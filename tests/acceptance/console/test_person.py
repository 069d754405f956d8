"""The console with a person in front of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jammi_sql.console.commands import HELP
from jammi_sql.console.main import main
from jammi_sql.console.shell import is_complete
from tests.acceptance.console.support import needs_a_full_device


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
    assert 'public,"Odd ""topic",topic,1,0\npublic,stock,table,1,0\n' in out
    assert "x,INTEGER,YES,\n" in out or "x,INT,YES,\n" in out
    assert out.count("stock,table") == 2
    assert out.count('"Odd ""topic"') == 2
    assert f"shop,files,{tmp_path}" in out
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
    assert csv.read_text() == "a\n1\n"
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
