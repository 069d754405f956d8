"""JSON access."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.engine.functions import shipped_functions
from jammi_sql.errors import InvalidParameter

FUNCTIONS = {function.name: function for function in shipped_functions()}
GETTERS = ("json_get", "json_get_text", "json_get_int", "json_get_float", "json_get_bool", "json_exists")


def get(sql: Any, function: str, document: str | None, path: str | None) -> Any:
    return sql.value(f"{function}(CAST(j AS VARCHAR), CAST(p AS VARCHAR))", j=document, p=path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", '{"a":{"b":[1,2,{"c":"x"}]},"odd key":3,"q\\"uote":4,"":5,"ü":6,"0":7,"x-y":8,"$d":9}'),
        ("$.a.b[0]", "1"),
        ("a.b[0]", "1"),
        ("$['a']['b'][1]", "2"),
        ('$["a"].b[-1].c', '"x"'),
        ("$.a.b[2]", '{"c":"x"}'),
        ("$['odd key']", "3"),
        ('$."odd key"', "3"),
        ('"odd key"', "3"),
        ("['odd key']", "3"),
        ('$."q\\"uote"', "4"),
        ("$['q\"uote']", "4"),
        ("$['']", "5"),
        ("$.ü", "6"),
        ("$.0", "7"),
        ("x-y", "8"),
        ("$.$d", "9"),
        ("$.a.b[3]", None),
        ("$.a.b[-4]", None),
        ("$.a[0]", None),
        ("$.a.b.c", None),
        ("$.missing.deeper", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_null(sql: Any, path: str, expected: str | None) -> None:
    document = '{"a": {"b": [1, 2, {"c": "x"}]}, "odd key": 3, "q\\"uote": 4, "": 5, "ü": 6, "0": 7, "x-y": 8, "$d": 9}'
    assert get(sql, "json_get", document, path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "$a",
        "$.",
        "$..a",
        "$.*",
        "$[",
        "$[a]",
        "$[*]",
        "$[0",
        "$['a]",
        "$.a b",
        "$.a[0]x",
        "$[1:2]",
        ".a",
        " $",
        "$[?(@)]",
    ],
)
def test_a_malformed_path_is_an_error_that_shows_it(sql: Any, path: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        get(sql, "json_get", "{}", path)
    assert caught.value.sqlstate == "22023"
    assert repr(path) in str(caught.value)
    assert caught.value.hint


def test_the_error_says_at_which_character_the_path_goes_wrong(sql: Any) -> None:
    with pytest.raises(InvalidParameter, match="character 4"):
        get(sql, "json_get", "{}", "a.b[x]")
    with pytest.raises(InvalidParameter, match="character 4"):
        get(sql, "json_get", "{}", "$.a[x]")


@pytest.mark.parametrize("function", [*GETTERS, "json_array_length"])
@pytest.mark.parametrize(
    "document", [None, "", "{", "nope", "NaN", "[1,]", "{'a': 1}", '{"a": 1} x', '"\\ud800"', "[" * 3000]
)
def test_what_is_not_json_gives_null(sql: Any, function: str, document: str | None) -> None:
    assert get(sql, function, document, "$") is None


@pytest.mark.parametrize("function", [*GETTERS, "json_array_length"])
def test_a_null_path_gives_null(sql: Any, function: str) -> None:
    assert get(sql, function, "{}", None) is None


DOCUMENT = json.dumps(
    {
        "int": 7,
        "big": 2**63 - 1,
        "least": -(2**63),
        "beyond": 2**63,
        "huge": 2**80,
        "whole": 3.0,
        "fraction": 1.5,
        "digits": "-42",
        "number": "1e3",
        "too_much": "1e999",
        "digits_beyond": str(2**63),
        "word": "x",
        "true": True,
        "false_word": "false",
        "null": None,
        "list": [1, "a"],
        "object": {"k": [None]},
    }
)


@pytest.mark.parametrize(
    ("name", "text", "integer", "number", "boolean"),
    [
        ("int", "7", 7, 7.0, None),
        ("big", str(2**63 - 1), 2**63 - 1, 2.0**63, None),
        ("least", str(-(2**63)), -(2**63), -(2.0**63), None),
        ("beyond", str(2**63), None, 2.0**63, None),
        ("huge", "1.2089258196146292e+24", None, 2.0**80, None),
        ("whole", "3.0", 3, 3.0, None),
        ("fraction", "1.5", None, 1.5, None),
        ("digits", "-42", -42, -42.0, None),
        ("number", "1e3", None, 1000.0, None),
        ("too_much", "1e999", None, None, None),
        ("digits_beyond", str(2**63), None, 2.0**63, None),
        ("word", "x", None, None, None),
        ("true", "true", None, None, True),
        ("false_word", "false", None, None, False),
        ("null", None, None, None, None),
        ("list", '[1,"a"]', None, None, None),
        ("object", '{"k":[null]}', None, None, None),
        ("missing", None, None, None, None),
    ],
)
def test_each_getter_takes_what_its_type_can_hold(
    sql: Any, name: str, text: str | None, integer: int | None, number: float | None, boolean: bool | None
) -> None:
    assert get(sql, "json_get_text", DOCUMENT, name) == text
    assert get(sql, "json_get_int", DOCUMENT, name) == integer
    assert get(sql, "json_get_float", DOCUMENT, name) == number
    assert get(sql, "json_get_bool", DOCUMENT, name) is boolean


def test_a_json_null_exists_and_is_the_text_null(sql: Any) -> None:
    assert get(sql, "json_get", DOCUMENT, "null") == "null"
    assert get(sql, "json_exists", DOCUMENT, "null") is True
    assert get(sql, "json_exists", DOCUMENT, "missing") is False


@pytest.mark.parametrize(
    ("document", "length"), [("[]", 0), ("[1,[2]]", 2), ("{}", None), ("3", None), ('"abc"', None)]
)
def test_only_arrays_have_a_length(sql: Any, document: str, length: int | None) -> None:
    assert get(sql, "json_array_length", document, "$") == length


def test_the_length_of_the_document_itself_needs_no_path(sql: Any) -> None:
    assert sql.value("json_array_length('[1,2]')") == 2
    assert sql.value("json_array_length(json_get('{\"a\":[1]}', '$.a'))") == 1


def test_documents_and_paths_may_both_be_columns_or_constants(sql: Any) -> None:
    documents = ['{"a":1,"b":2}', '{"a":3}', None]
    assert sql.column("json_get_int(j, '$.a')", j=documents) == [1, 3, None]
    assert sql.column("json_get_int(j, p)", j=documents, p=["a", "b", "a"]) == [1, None, None]
    assert sql.column('json_get_int(\'{"a":1,"b":2}\', p)', p=["a", "b", None]) == [1, 2, None]


def test_it_works_in_a_filter_over_several_batches(sql: Any) -> None:
    text = """SELECT count(*) FROM (SELECT '{"n":' || value || '}' AS j FROM generate_series(1, 20000))
              WHERE json_get_int(j, 'n') % 2 = 0"""
    assert sql.rows(text) == [(10000,)]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def paths_in(value: Any, prefix: str = "$") -> list[tuple[str, Any]]:
    """Every path in ``value`` with the value there."""
    found = [(prefix, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            quoted = key.replace("\\", "\\\\").replace("'", "\\'")
            found += paths_in(inner, f"{prefix}['{quoted}']")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths_in(inner, f"{prefix}[{index}]")
    return found


@given(json_values)
def test_every_value_of_a_document_is_found_at_its_path(value: Any) -> None:
    places = paths_in(value)
    documents = pa.array([json.dumps(value, ensure_ascii=False)] * len(places), pa.string())
    paths = pa.array([path for path, _ in places], pa.string())
    found = FUNCTIONS["json_get"](documents, paths).to_pylist()
    assert [json.loads(text) for text in found] == [expected for _, expected in places]
    assert FUNCTIONS["json_exists"](documents, paths).to_pylist() == [True] * len(places)


@given(st.text(alphabet="$.[]'\"ab01- *\\", max_size=8))
def test_any_path_text_is_read_or_refused(path: str) -> None:
    document = '{"a":[{"b":0}]}'
    with contextlib.suppress(InvalidParameter):
        (found,) = FUNCTIONS["json_get"](pa.array([document]), pa.array([path])).to_pylist()
        assert found in (None, document, '[{"b":0}]', '{"b":0}', "0")
