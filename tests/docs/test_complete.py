"""The reference leaves nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from jammi_sql import errors
from jammi_sql.dialect import statements
from jammi_sql.engine.functions import shipped_functions
from jammi_sql.engine.settings import SETTINGS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

# What the classes are called in SQL; the class names are no user's business.
_HIDDEN = {"Unsupported"}  # the refusal of what is not built
_WORDS = {
    "Query": "SELECT",
    "Modify": "UPDATE",
    "CreateTopicAs": "CREATE TOPIC",
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


def test_every_function_is_in_the_reference(reference: str) -> None:
    assert [function.name for function in shipped_functions() if f"{function.name}(" not in reference] == []


def test_every_error_class_and_its_sqlstate_are_in_the_reference(reference: str) -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert missing([cls.__name__ for cls in classes], reference) == []
    states = {cls.default_sqlstate for cls in classes if issubclass(cls, errors.Error)}
    assert missing(sorted(states), reference) == []


def test_every_setting_is_in_the_reference(reference: str) -> None:
    assert missing([f"jammi.{name}" for name in SETTINGS], reference) == []


@pytest.mark.parametrize("option", ["from", "until", "idle_timeout"])
def test_every_option_of_subscribe_is_in_the_reference(reference: str, option: str) -> None:
    assert re.search(rf"\b{option}\s*=>", reference)


def test_the_summary_of_every_function_is_in_the_page_of_functions() -> None:
    page = " ".join((REFERENCE / "functions.md").read_text("utf-8").split())
    absent = [function.name for function in shipped_functions() if f"### `{function.name}(" not in page]
    assert absent == []
