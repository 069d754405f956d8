"""What holds for every shipped function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jammi_sql.engine.functions import shipped_functions
from jammi_sql.function import Function

FUNCTIONS = {function.name: function for function in shipped_functions()}


def test_these_functions_are_shipped() -> None:
    assert set(FUNCTIONS) == {
        "cosine_similarity",
        "current_tenant",
        "json_array_length",
        "json_exists",
        "json_get",
        "json_get_bool",
        "json_get_float",
        "json_get_int",
        "json_get_text",
        "l2_distance",
        "uuid7",
        "uuid_timestamp",
    }


def test_every_module_of_the_folder_is_loaded() -> None:
    modules = {function.implementation.__module__.rpartition(".")[2] for function in FUNCTIONS.values()}
    files = {path.stem for path in (Path(__file__).parents[3] / "udfs").glob("*.py")}
    assert modules == files - {"__init__"}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_has_a_summary_and_an_example(function: Function) -> None:
    assert function.summary.endswith((".", ":")) or ". " in function.summary
    assert function.example is not None
    assert f"{function.name}(" in function.example


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_example_of_a_function_is_true(sql: Any, function: Function) -> None:
    assert sql.value(str(function.example)) is True
