"""Parameters on their way in."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jammi_sql.dbapi.parameters import bind, bind_many
from jammi_sql.dbapi.scalars import column, scalar
from jammi_sql.errors import DataError, NumericValueOutOfRange, ProgrammingError
from jammi_sql.tenancy import TenantId

ID = "01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a"


class Colour(Enum):
    RED = "red"


def _name(value: object) -> str:
    """As ``repr``, the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, pa.null(), None),
        (True, pa.bool_(), True),
        (-(2**63), pa.int64(), -(2**63)),
        (2**63, pa.uint64(), 2**63),
        (2**64, pa.decimal128(20, 0), Decimal(2**64)),
        (-(2**63) - 1, pa.decimal128(19, 0), Decimal(-(2**63) - 1)),
        (1.5, pa.float64(), 1.5),
        (math.inf, pa.float64(), math.inf),
        ("é\x00", pa.string(), "é\x00"),
        (b"\xff", pa.binary(), b"\xff"),
        (bytearray(b"\xff"), pa.binary(), b"\xff"),
        (memoryview(b"\xff"), pa.binary(), b"\xff"),
        (date(2020, 1, 2), pa.date32(), date(2020, 1, 2)),
        (datetime(2020, 1, 2, 3), pa.timestamp("us"), datetime(2020, 1, 2, 3)),
        (
            datetime(2020, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
            pa.timestamp("us", "UTC"),
            datetime(2020, 1, 2, 1, tzinfo=UTC),
        ),
        (time(1, 2, 3, 4), pa.time64("us"), time(1, 2, 3, 4)),
        (timedelta(microseconds=1), pa.duration("us"), timedelta(microseconds=1)),
        (Decimal("1.10"), pa.decimal128(3, 2), Decimal("1.10")),
        (Decimal(10**40), pa.decimal256(41, 0), Decimal(10**40)),
        (UUID(ID), pa.string(), ID),
        (TenantId(ID), pa.string(), ID),
        (Colour.RED, pa.string(), "red"),
        ([1, 2.5, None], pa.list_(pa.float64()), [1.0, 2.5, None]),
        ((UUID(ID),), pa.list_(pa.string()), [ID]),
        (
            {"a": 1, "b": [True]},
            pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.list_(pa.bool_()))]),
            {"a": 1, "b": [True]},
        ),
        (np.float32(1.5), pa.float32(), 1.5),
        (np.uint64(2**63), pa.uint64(), 2**63),
        (np.bool_(True), pa.bool_(), True),
        (np.array([1, 2], np.float32), pa.list_(pa.float32()), [1.0, 2.0]),
        (np.array([[1, 2], [3, 4]]), pa.list_(pa.list_(pa.int64())), [[1, 2], [3, 4]]),
        (pd.NaT, pa.null(), None),
        (pd.NA, pa.null(), None),
        (pa.scalar(1, pa.int8()), pa.int8(), 1),
    ],
    ids=_name,
)
def test_a_python_value_has_one_arrow_type(value: object, kind: pa.DataType, expected: object) -> None:
    converted = scalar(value, "parameter 1")
    assert converted.type == kind
    assert converted.as_py() == expected


def test_nan_stays_nan() -> None:
    assert math.isnan(scalar(math.nan, "parameter 1").as_py())


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (pd.Timestamp("2020-01-01T00:00:00.123456789"), pa.timestamp("ns")),
        (pd.Timestamp("2020-01-01T00:00:00.123456789", tz="Asia/Tokyo"), pa.timestamp("ns", "UTC")),
        (np.datetime64("2020-01-01T00:00:00.123456789"), pa.timestamp("ns")),
        (pd.Timedelta(123_456_789), pa.duration("ns")),
    ],
    ids=_name,
)
def test_nanoseconds_of_pandas_and_numpy_survive(value: object, kind: pa.DataType) -> None:
    converted = scalar(value, "parameter 1")
    assert converted.type == kind
    assert converted.value % 1_000_000_000 == 123_456_789


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, range(3), print], ids=_name)
def test_a_type_without_sql_counterpart_is_named(value: object) -> None:
    with pytest.raises(ProgrammingError, match=f"parameter 2 is of type .*{type(value).__name__}") as caught:
        scalar(value, "parameter 2")
    assert caught.value.sqlstate == "07006"


@pytest.mark.parametrize("value", [10**77, Decimal("NaN"), Decimal("Infinity"), Decimal("1e99"), Decimal("1e-99")])
def test_a_number_that_no_type_holds_is_22003(value: object) -> None:
    with pytest.raises(NumericValueOutOfRange, match="parameter 1 is out of range"):
        scalar(value, "parameter 1")


@pytest.mark.parametrize("value", [[1, "a"], {1: 2}, "\ud800", time(1, tzinfo=UTC), [2**70]], ids=_name)
def test_a_value_that_cannot_be_converted_is_a_data_error(value: object) -> None:
    with pytest.raises(DataError, match="parameter 1"):
        scalar(value, "parameter 1")


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 2], pa.int64(), [1, None, 2]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([None, None], pa.null(), [None, None]),
        ([1, 2**63, None], pa.decimal128(19, 0), [1, 2**63, None]),
        ([2**63, 2**63], pa.uint64(), [2**63, 2**63]),
        ([1, Decimal("1.5")], pa.decimal128(2, 1), [1, Decimal("1.5")]),
        ([Decimal("1.5"), Decimal("10.25")], pa.decimal128(4, 2), [Decimal("1.50"), Decimal("10.25")]),
        (["a", UUID(ID)], pa.string(), ["a", ID]),
        ([b"a", bytearray(b"b")], pa.binary(), [b"a", b"b"]),
        ([datetime(2020, 1, 1), None], pa.timestamp("us"), [datetime(2020, 1, 1), None]),
        ([[1], [2.5]], pa.list_(pa.float64()), [[1.0], [2.5]]),
    ],
    ids=_name,
)
def test_many_values_take_the_narrowest_common_type(values: list[Any], kind: pa.DataType, expected: list[Any]) -> None:
    converted = column(values, "parameter 1")
    assert converted.type == kind
    assert converted.to_pylist() == expected


@pytest.mark.parametrize(
    "values", [[1, "a"], ["a", b"b"], [True, 1], [datetime(2020, 1, 1), datetime(2021, 1, 1, tzinfo=UTC)]], ids=_name
)
def test_values_without_a_common_type_are_a_data_error_that_names_the_row(values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"parameter 3 is .* in row 1 and .* before it"):
        column(values, "parameter 3")


def test_a_bad_value_among_many_names_its_row() -> None:
    with pytest.raises(DataError, match="parameter 1 of row 1"):
        column(["a", "\ud800"], "parameter 1")


@pytest.mark.parametrize(
    ("keys", "parameters", "expected"),
    [
        ((), None, {}),
        ((), (), {}),
        ((), {}, {}),
        ((), {"unused": 1}, {}),
        (("1", "2"), [1, "a"], {"1": 1, "2": "a"}),
        (("2", "1"), [1, "a"], {"2": "a", "1": 1}),
        (("1",), np.array([5]), {"1": 5}),
        (("a",), {"a": 1, "unused": 2}, {"a": 1}),
        (("1", "2"), pa.table({"x": [1], "y": ["a"]}), {"1": 1, "2": "a"}),
        (("y",), pa.RecordBatch.from_pylist([{"x": 1, "y": "a"}]), {"y": "a"}),
    ],
    ids=_name,
)
def test_parameters_meet_their_keys(keys: Sequence[str], parameters: object, expected: dict[str, Any]) -> None:
    assert {key: value.as_py() for key, value in bind(keys, parameters).items()} == expected


@pytest.mark.parametrize(
    ("keys", "parameters", "message"),
    [
        (("1", "2"), (1,), "takes 2 parameters, 1 is given"),
        (("1",), (1, 2), "takes 1 parameter, 2 are given"),
        (("1",), None, "takes 1 parameter, 0 are given"),
        ((), (1,), "takes no parameters, 1 is given"),
        (("1",), {"a": 1}, "takes 1 parameter, a mapping is given"),
        (("a", "b"), (1, 2), "takes the parameters :a, :b; a sequence is given"),
        (("a", "b"), {"a": 1}, "takes the parameters :a, :b; b is missing"),
        (("1",), "a", "parameters are a sequence or a mapping, not str"),
        (("1",), b"a", "not bytes"),
        (("1",), 5, "not int"),
        (("1",), {5}, "not set"),
        (("1",), pa.table({"x": [1, 2]}), "one row of parameters is expected, 2 are given"),
        (("1",), pa.table({"x": [1], "y": [2]}), "takes 1 parameter, the data has 2 columns"),
        (("a",), pa.table({"x": [1]}), "takes the parameters :a; the data has x"),
    ],
    ids=_name,
)
def test_a_wrong_number_or_style_is_07001_and_says_what_is_expected(
    keys: Sequence[str], parameters: object, message: str
) -> None:
    with pytest.raises(ProgrammingError, match=message) as caught:
        bind(keys, parameters)
    assert caught.value.sqlstate == "07001"


@pytest.mark.parametrize(
    ("keys", "parameters", "expected"),
    [
        (("1", "2"), [(1, "a"), (None, "b")], {"1": [1, None], "2": ["a", "b"]}),
        (("1",), ((n,) for n in range(3)), {"1": [0, 1, 2]}),
        (("a", "b"), [{"a": 1, "b": 2}, {"b": 4, "a": 3}], {"a": [1, 3], "b": [2, 4]}),
        (("1", "2"), [], {"1": [], "2": []}),
        (("1", "2"), pa.table({"x": [1], "y": [2]}), {"1": [1], "2": [2]}),
        (("y", "x"), pa.table({"x": [1], "y": [2]}), {"y": [2], "x": [1]}),
        (("1",), pd.DataFrame({"x": [1, 2]}), {"1": [1, 2]}),
    ],
    ids=_name,
)
def test_many_sets_become_columns_named_by_key(
    keys: Sequence[str], parameters: object, expected: dict[str, Any]
) -> None:
    assert bind_many(keys, parameters).read_all().to_pydict() == expected


@pytest.mark.parametrize(
    ("keys", "parameters", "message"),
    [
        ((), [()], "takes no parameters"),
        (("1",), [(1,), (1, 2)], "takes 1 parameter, 2 are given"),
        (("1",), "abc", "not str"),
        (("1",), ["a"], "not str"),
        (("a",), {"a": [1]}, "not dict"),
    ],
    ids=_name,
)
def test_wrong_sets_are_07001(keys: Sequence[str], parameters: object, message: str) -> None:
    with pytest.raises(ProgrammingError, match=message) as caught:
        bind_many(keys, parameters)
    assert caught.value.sqlstate == "07001"


def test_arrow_data_is_bound_as_it_is_pulled() -> None:
    pulled = []

    def batches() -> Any:
        for number in range(3):
            pulled.append(number)
            yield pa.record_batch({"x": [number]})

    source = pa.RecordBatchReader.from_batches(pa.schema([pa.field("x", pa.int64())]), batches())
    reader = bind_many(("1",), source)
    assert pulled == []
    assert reader.read_next_batch().to_pydict() == {"1": [0]}
    assert pulled == [0]
