"""A user's own folder of functions."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from datafusion import SessionContext

from jammi_sql.engine.functions import FunctionLibrary
from jammi_sql.errors import DataError, DuplicateObject, InvalidParameter, OperationalError, ProgrammingError
from jammi_sql.function import error_of_function

HEADER = """
import pyarrow as pa
import pyarrow.compute as pc
from jammi_sql.function import scalar_function
"""
REVERSE = """
@scalar_function(inputs=[pa.string()], returns=pa.string(), example="reversed_text('abc') = 'cba'")
def reversed_text(text):
    "The characters of a text in reverse order."
    return pc.utf8_reverse(text)
"""


def write(folder: Path, **files: str) -> Path:
    for name, body in files.items():
        (folder / f"{name}.py").write_text(HEADER + textwrap.dedent(body))
    return folder


def run(library: FunctionLibrary, text: str) -> list[Any]:
    class Session:
        tenant = None

    context = SessionContext()
    library.register(context, Session())
    try:
        return context.sql(f"SELECT {text} AS x").to_pydict()["x"]
    except Exception as error:
        raise error_of_function(error) or error from None


def test_functions_of_a_folder_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    library = FunctionLibrary.load(write(tmp_path, text=REVERSE))
    assert run(library, "reversed_text('abc') || json_get('1', '$')") == ["cba1"]
    assert library.functions["reversed_text"].summary == "The characters of a text in reverse order."


def test_an_edited_file_counts_from_the_next_load(tmp_path: Path) -> None:
    before = FunctionLibrary.load(write(tmp_path, text=REVERSE))
    after = FunctionLibrary.load(write(tmp_path, text=REVERSE.replace("pc.utf8_reverse", "pc.utf8_upper")))
    assert run(after, "reversed_text('abc')") == ["ABC"]
    assert run(before, "reversed_text('abc')") == ["cba"]


def test_files_with_an_underscore_are_helpers(tmp_path: Path) -> None:
    user = """
    from ._words import twice

    @scalar_function(inputs=[pa.string()], returns=pa.string())
    def doubled(text):
        return twice(text)
    """
    helper = "def twice(text): return pc.binary_join_element_wise(text, text, '')"
    assert run(FunctionLibrary.load(write(tmp_path, doubled=user, _words=helper)), "doubled('ab')") == ["abab"]


def test_an_edited_helper_counts_from_the_next_load(tmp_path: Path) -> None:
    user = REVERSE.replace("pc.utf8_reverse(text)", "change(text)")
    write(tmp_path, text=f"from ._words import change\n{user}", _words="change = pc.utf8_upper")
    assert run(FunctionLibrary.load(tmp_path), "reversed_text('Ab')") == ["AB"]
    write(tmp_path, _words="change = pc.utf8_swapcase")
    assert run(FunctionLibrary.load(tmp_path), "reversed_text('Ab')") == ["aB"]


def test_a_function_imported_from_another_file_is_not_defined_twice(tmp_path: Path) -> None:
    second = """
    from .text import reversed_text
    from jammi_sql.function import Function

    @scalar_function(inputs=[pa.string()], returns=pa.string())
    def same(text):
        return reversed_text(reversed_text(text))
    """
    assert run(FunctionLibrary.load(write(tmp_path, text=REVERSE, second=second)), "same('ab')") == ["ab"]


def test_two_folders_may_have_files_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = FunctionLibrary.load(write(tmp_path / "a", text=REVERSE))
    second = FunctionLibrary.load(write(tmp_path / "b", text=REVERSE.replace("utf8_reverse", "utf8_upper")))
    assert (run(first, "reversed_text('ab')"), run(second, "reversed_text('ab')")) == (["ba"], ["AB"])


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="missing is not a folder"):
        FunctionLibrary.load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def broken(:", "text.py cannot be imported: SyntaxError"),
        ("import does_not_exist_at_all", "text.py cannot be imported: ModuleNotFoundError: .*does_not_exist_at_all"),
        ("1 / 0", "text.py cannot be imported: ZeroDivisionError"),
        ("def undecorated(text): return text", "text.py defines no function"),
        (REVERSE.replace("[pa.string()]", "[], volatility='volatile'"), "text.py cannot be .* volatile without inputs"),
        (REVERSE.replace("def reversed_text", "def Reversed"), "text.py cannot be imported: .*'Reversed' cannot name"),
        (REVERSE.replace("pa.string(), ex", "pa.string(), session=True, ex"), "text.py .* depends on the session"),
        (REVERSE.replace("pa.string(), ex", "pa.string(), defaults=['1', '2'], ex"), "text.py .* 2 defaults for 1"),
    ],
)
def test_a_file_that_cannot_work_is_named_with_the_reason(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ProgrammingError, match=message) as caught:
        FunctionLibrary.load(write(tmp_path, text=body))
    assert caught.value.hint


@pytest.mark.parametrize("name", ["abs", "sum", "row_number", "json_get", "subscribe"])
def test_a_name_that_is_taken_is_refused_with_file_and_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DuplicateObject, match=rf"text.py: a function {name} exists already"):
        FunctionLibrary.load(write(tmp_path, text=REVERSE.replace("def reversed_text", f"def {name}")))


def test_a_name_that_two_files_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DuplicateObject, match=r"two\.py: a function reversed_text"):
        FunctionLibrary.load(write(tmp_path, one=REVERSE, two=REVERSE))


RAISING = """
@scalar_function(inputs=[pa.string()], returns=pa.string())
def fails(text):
    raise {error}
"""


@pytest.mark.parametrize(
    ("error", "expected", "sqlstate"),
    [
        ("ValueError('no such thing')", DataError, "22000"),
        ("pa.ArrowInvalid('no such thing')", DataError, "22000"),
        ("RuntimeError('no such thing')", OperationalError, "38000"),
        ("KeyError('no such thing')", OperationalError, "38000"),
    ],
)
@pytest.mark.parametrize("call", ["fails('constant')", "fails(uuid())"])
def test_what_a_function_raises_comes_back_with_its_name_and_traceback(
    tmp_path: Path, error: str, expected: type[Exception], sqlstate: str, call: str
) -> None:
    library = FunctionLibrary.load(write(tmp_path, text=RAISING.format(error=error)))
    with pytest.raises(expected, match=r"^function fails: .*no such thing") as caught:
        run(library, call)
    assert getattr(caught.value, "sqlstate", None) == sqlstate
    (note,) = caught.value.__notes__
    assert "text.py" in note
    assert note.endswith("no such thing") or note.endswith("'no such thing'")
    assert "PyErr" not in str(caught.value)


def test_an_error_of_this_package_comes_back_as_it_is(tmp_path: Path) -> None:
    raising = "from jammi_sql.errors import NumericValueOutOfRange\n" + RAISING
    library = FunctionLibrary.load(
        write(tmp_path, text=raising.format(error="NumericValueOutOfRange('too far', hint='h')"))
    )
    with pytest.raises(DataError, match=r"^too far\nhint: h$") as caught:
        run(library, "fails('x')")
    assert caught.value.sqlstate == "22003"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("text[:0]", "it must return 1 values, one per row, not 0"),
        ("pa.array([1])", "it must return an array of string, this is int64"),
        ("'text'", "it must return an array of string, this is str"),
        ("None", "it must return an array of string, this is NoneType"),
        ("pa.chunked_array([text])", "it must return an array of string, this is ChunkedArray"),
    ],
)
def test_a_wrong_result_is_reported_with_the_functions_name(tmp_path: Path, result: str, message: str) -> None:
    body = REVERSE.replace("pc.utf8_reverse(text)", result)
    with pytest.raises(OperationalError, match=f"function reversed_text: {message}"):
        run(FunctionLibrary.load(write(tmp_path, text=body)), "reversed_text(uuid())")


def test_an_error_that_nobody_asks_for_is_forgotten_in_the_end(tmp_path: Path) -> None:
    library = FunctionLibrary.load(write(tmp_path, text=RAISING.format(error="ValueError('mine')")))
    function = library.functions["fails"].bound(type("Session", (), {"tenant": None})())
    carried = []
    for _ in range(100):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            function(None)
        carried.append(Exception(repr(caught.value)))
    assert isinstance(error_of_function(carried[-1]), DataError)
    assert isinstance(error_of_function(carried[0]), OperationalError)


def test_other_errors_of_datafusion_are_not_a_functions() -> None:
    assert error_of_function(Exception("DataFusion error: Schema error: No field named x")) is None
