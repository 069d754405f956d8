"""The reference leaves nothing out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import jammi_sql
from jammi_sql import brokers, errors, logs, metrics, tables, tenancy, topics
from jammi_sql.console import serve
from jammi_sql.console.commands import COMMANDS
from jammi_sql.dialect import statements
from jammi_sql.doctor import nats, postgres, sqlite
from jammi_sql.engine.cached_statements import CACHED_OPTIONS
from jammi_sql.engine.functions import shipped_functions
from jammi_sql.engine.settings import SETTINGS
from jammi_sql.engine.system_views import SYSTEM_VIEWS
from jammi_sql.sources.files import OPTIONS as FILE_OPTIONS
from jammi_sql.sources.options import OPTIONS

from .grammar import SHIPPED, grammar

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

# What the classes are called in SQL; the class names are no user's business.
_HIDDEN = {"Unsupported"}  # the refusal of what is not built
_WORDS = {
    "Query": "SELECT",
    "AlterTableAddColumn": "ALTER TABLE name ADD",
    "AlterTableDropColumn": "ALTER TABLE name DROP",
    "AlterTableRename": "ALTER TABLE name RENAME TO",
    "AlterTableRenameColumn": "ALTER TABLE name RENAME [COLUMN]",
    "CreateTable": "CREATE [GLOBAL] [MUTABLE] TABLE",
    "CreateTableAs": "TABLE [IF NOT EXISTS] name AS query",
    "CreateIndex": "CREATE [UNIQUE] INDEX",
    "CopyFrom": "COPY name [(columns)] FROM",
    "Update": "UPDATE name [[AS] alias] SET",
    "Delete": "DELETE FROM name",
    "Merge": "MERGE INTO name",
    "TruncateTable": "TRUNCATE [TABLE] name",
    "CreateTopic": "CREATE [GLOBAL] TOPIC",
    "CreateTopicAs": "TOPIC [IF NOT EXISTS] name [WITH (...)] AS query",
    "AlterTopicAddColumn": "ADD COLUMN",
    "AlterTopicSet": "ALTER TOPIC",
    "AlterTopicReset": "RESET (",
    "AlterTopicRename": "RENAME TO",
    "SetSetting": "SET jammi.",
    "ShowSetting": "SHOW jammi.",
    "ResetSetting": "RESET jammi.",
    "SetTenant": "SET tenant",
    "ShowTenant": "SHOW tenant",
    "ResetTenant": "RESET tenant",
    "RollbackTo": "ROLLBACK TO",
}
STATEMENTS = {
    kind.__name__: _WORDS.get(kind.__name__, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).upper())
    for kind in get_args(statements.Statement)
    if kind.__name__ not in _HIDDEN
}


@pytest.fixture(scope="module")
def reference() -> str:
    """All reference pages as one text."""
    return "\n".join(page.read_text("utf-8") for page in sorted(REFERENCE.rglob("*.md")))


def missing(names: Iterable[str], text: str) -> list[str]:
    """The names that ``text`` does not have as whole words."""
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]


def test_every_statement_is_in_the_reference(reference: str) -> None:
    absent = {name for name, words in STATEMENTS.items() if words not in reference}
    assert absent == set()


@pytest.mark.parametrize(
    "clause",
    [
        "[PRIMARY KEY]", "[UNIQUE]", "PRIMARY KEY (columns)", "UNIQUE (columns)", "[DEFAULT expression]", "DEFAULT VALUES",
        "[FROM relations]", "[USING relations]", "[RETURNING columns]", "DO NOTHING", "DO UPDATE SET", "excluded",
        "WHEN MATCHED", "WHEN NOT MATCHED", "WHEN NOT MATCHED BY SOURCE",
    ],
)  # fmt: skip
def test_every_clause_of_a_change_is_in_the_page_of_tables(clause: str) -> None:
    assert clause in (REFERENCE / "tables.md").read_text("utf-8")


@pytest.mark.parametrize("state", ["21000", "23502", "23505", "2BP01", "40001", "42P10", "42P16"])
def test_the_codes_of_tables_are_in_the_pages_of_tables_and_of_errors(state: str) -> None:
    for name in ("tables", "errors"):
        assert missing([state], (REFERENCE / f"{name}.md").read_text("utf-8")) == []


@pytest.mark.parametrize(
    "module", [topics, tables, brokers, tenancy, metrics, logs], ids=lambda module: module.__name__
)
def test_every_public_name_and_method_is_in_the_page_of_python(module: ModuleType) -> None:
    page = (REFERENCE / "python-api.md").read_text("utf-8")
    assert missing(module.__all__, page) == []


def test_every_method_of_the_registry_of_tables_is_in_the_page_of_python() -> None:
    page = (REFERENCE / "python-api.md").read_text("utf-8")
    methods = [name for name in vars(tables.MutableTableRegistry) if not name.startswith("_")]
    assert missing(methods, page) == []


def test_every_option_of_files_is_in_its_page_with_its_line() -> None:
    page = (REFERENCE.parent / "how-to" / "files.md").read_text("utf-8")
    assert [name for name, line in FILE_OPTIONS.items() if f"| `{name}` | {line} |" not in page] == []


def test_every_option_of_a_cached_table_is_in_the_page_of_statements() -> None:
    page = (REFERENCE / "statements.md").read_text("utf-8")
    assert [name for name in CACHED_OPTIONS if f"| `{name}` |" not in page] == []


def test_every_column_of_a_system_view_is_in_its_page() -> None:
    page = (REFERENCE / "system-views.md").read_text("utf-8")
    columns = [f"{view}: {name}" for view, found in SYSTEM_VIEWS.items() for name in found.schema.names]
    assert [each for each in columns if f"`{each.partition(': ')[2]}`" not in page] == []


def test_every_metric_and_label_is_in_its_page() -> None:
    page = (REFERENCE / "metrics.md").read_text("utf-8")
    names = [name for each in metrics.INSTRUMENTS for name in (each.name, each.prometheus_name, *each.labels)]
    assert [name for name in names if f"`{name}`" not in page] == []
    assert [each.summary for each in metrics.INSTRUMENTS if each.summary not in page] == []


def test_every_check_and_option_of_doctor_is_in_its_page() -> None:
    page = (REFERENCE / "doctor.md").read_text("utf-8")
    folder, _, rest = page.partition("## A PostgreSQL database")
    database, _, broker = rest.partition("## A NATS server")
    for checks, part in ((sqlite.CHECKS, folder), (postgres.CHECKS, database), (nats.CHECKS, broker)):
        assert [check.name for check in checks if f"| `{check.name}` |" not in part] == []
    assert [option for option in ("--broker", "--schema", "--format") if option not in page] == []


def test_every_option_of_the_server_is_in_the_page_of_the_console() -> None:
    page = (REFERENCE / "console.md").read_text("utf-8").partition("## The server")[2]
    options = [option for action in serve._parser()._actions for option in action.option_strings if option != "-h"]
    assert len(options) > 10
    assert [option for option in options if f"`{option}" not in page and option != "--help"] == []


def test_every_command_of_the_console_is_in_its_page() -> None:
    page = (REFERENCE / "console.md").read_text("utf-8").replace("\\|", "|")
    shown = [" ".join((command.name, command.argument)).strip() for command in COMMANDS if command.name != "\\d"]
    assert [each for each in shown if f"| `{each}` |" not in page] == []


def test_the_help_of_the_console_is_the_reference() -> None:
    assert SHIPPED.read_text("utf-8") == grammar(), "python tests/docs/grammar.py > jammi_sql/console/grammar.txt"


def test_the_help_of_the_console_has_every_statement() -> None:
    shipped = SHIPPED.read_text("utf-8")
    assert {name for name, words in STATEMENTS.items() if words not in shipped} == set()


def test_every_function_is_in_the_reference(reference: str) -> None:
    assert [function.name for function in shipped_functions() if f"{function.name}(" not in reference] == []


def test_every_error_class_and_its_sqlstate_are_in_the_reference(reference: str) -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert missing([cls.__name__ for cls in classes], reference) == []
    states = {cls.default_sqlstate for cls in classes if issubclass(cls, errors.Error)}
    assert missing(sorted(states), reference) == []


def test_every_setting_is_in_the_reference(reference: str) -> None:
    assert missing([f"jammi.{name}" for name in SETTINGS], reference) == []


def test_every_option_of_connect_is_in_the_page_of_settings() -> None:
    options = {*inspect.signature(jammi_sql.connect).parameters, *inspect.signature(jammi_sql.Engine.open).parameters}
    page = (REFERENCE / "settings.md").read_text("utf-8")
    assert [name for name in sorted(options - {"options", "clock"}) if f"`{name}`" not in page] == []


def test_every_option_of_a_source_is_in_its_section_with_its_default() -> None:
    page = (REFERENCE / "sources.md").read_text("utf-8")
    for kind, options in OPTIONS.items():
        _, _, rest = page.partition(f"### {kind}\n")
        section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
        assert [option.name for option in options if f"`{option.name}`" not in section] == [], kind
        defaults = [option for option in options if option.default is not None]
        assert [o.name for o in defaults if f"`{o.name}` | `{o.default}`" not in section] == [], kind


@pytest.mark.parametrize("option", ["from", "until", "idle_timeout"])
def test_every_option_of_subscribe_is_in_the_reference(reference: str, option: str) -> None:
    assert re.search(rf"\b{option}\s*=>", reference)


def test_the_summary_of_every_function_is_in_the_page_of_functions() -> None:
    page = " ".join((REFERENCE / "functions.md").read_text("utf-8").split())
    absent = [function.name for function in shipped_functions() if f"### `{function.name}(" not in page]
    assert absent == []
