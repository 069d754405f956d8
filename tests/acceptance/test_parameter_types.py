"""The types that parameters are known to have before there are values, which drivers are told when they prepare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql.dbapi import Connection
from jammi_sql.engine.outline import Outline

PRICE, MOMENT, NOTHING = pa.decimal128(10, 2), pa.timestamp("ns"), pa.null()

STATEMENTS = [
    # compared
    ("SELECT * FROM planes WHERE id = ? AND name LIKE ? AND price > ?", [pa.int64(), pa.string(), PRICE]),
    ("SELECT * FROM planes WHERE at BETWEEN ? AND ? AND ok = ?", [MOMENT, MOMENT, pa.bool_()]),
    ("SELECT * FROM planes WHERE id IN (?, ?)", [pa.int64(), pa.int64()]),
    ("SELECT * FROM planes JOIN flights ON flights.id = planes.id AND flights.tail = ?", [pa.string()]),
    ("SELECT name FROM planes GROUP BY name HAVING sum(price) > ?", [pa.decimal128(20, 2)]),
    ("WITH some AS (SELECT id FROM planes WHERE name = ?) SELECT * FROM some WHERE id > ?", [pa.string(), pa.int64()]),
    # in sub-queries
    (
        "SELECT * FROM planes WHERE EXISTS (SELECT 1 FROM flights f WHERE f.tail = ? AND f.id = planes.id)",
        [pa.string()],
    ),
    ("SELECT * FROM planes WHERE id IN (SELECT id FROM flights WHERE tail = ?)", [pa.string()]),
    # computed with, cast, counted, followed from
    ("SELECT price + ? FROM planes", [PRICE]),
    ("SELECT coalesce(name, ?) FROM planes", [pa.string()]),
    ("SELECT CAST(? AS INT), ?::DATE", [pa.int32(), pa.date32()]),
    ("SELECT id FROM planes ORDER BY id LIMIT ? OFFSET ?", [pa.int64(), pa.int64()]),
    ("SELECT * FROM subscribe('flights', from => ?) WHERE tail = ?", [pa.int64(), pa.string()]),
    ("EXPLAIN SELECT * FROM planes WHERE id = ?", [pa.int64()]),
    # inserted
    ("INSERT INTO planes VALUES (?, ?, ?, ?, ?)", [pa.int64(), pa.string(), PRICE, MOMENT, pa.bool_()]),
    ("INSERT INTO planes (name, id) VALUES (?, ?), (DEFAULT, ?)", [pa.string(), pa.int64(), pa.int64()]),
    ("INSERT INTO planes (id, name) VALUES (? + 1, ?)", [pa.int64(), pa.string()]),
    ("INSERT INTO flights VALUES (?, ?)", [pa.int64(), pa.string()]),
    ("INSERT INTO flights SELECT id, name FROM planes WHERE price < ?", [PRICE]),
    (
        "INSERT INTO planes (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET name = ? WHERE planes.price < ? RETURNING id + ?",
        [pa.int64(), pa.string(), PRICE, pa.int64()],
    ),
    # changed
    ("UPDATE planes SET name = ?, price = price + ? WHERE id = ?", [pa.string(), PRICE, pa.int64()]),
    ("UPDATE planes AS p SET at = ? WHERE p.id + 1 = ?", [MOMENT, pa.int64()]),
    ("DELETE FROM planes WHERE id = ?", [pa.int64()]),
    ("DELETE FROM planes USING flights AS f WHERE f.id = planes.id AND f.tail = ?", [pa.string()]),
    (
        "MERGE INTO planes USING flights AS f ON f.id = planes.id AND f.tail = ? WHEN MATCHED AND f.id > ? THEN "
        "UPDATE SET name = ? WHEN NOT MATCHED THEN INSERT (id, price) VALUES (f.id, ?)",
        [pa.string(), pa.int64(), pa.string(), PRICE],
    ),
    # that values alone will tell
    ("SELECT ?", [NOTHING]),
    ("SELECT * FROM nowhere WHERE id = ?", [NOTHING]),
    ("INSERT INTO nowhere VALUES (?)", [NOTHING]),
    ("UPDATE planes SET nothing = ? WHERE id = 1", [NOTHING]),
    ("SELECT * FROM subscribe(?)", [NOTHING]),
    ("SELECT no_function(?)", [NOTHING]),
]


@pytest.fixture(scope="module")
def planes() -> Iterator[Connection]:
    """With a table ``planes`` and a topic ``flights``."""
    with jammi_sql.connect() as connection:
        connection.execute(
            "CREATE TABLE planes (id BIGINT PRIMARY KEY, name VARCHAR, price DECIMAL(10, 2), at TIMESTAMP, ok BOOLEAN)"
        )
        connection.execute("CREATE TOPIC flights (id BIGINT NOT NULL, tail VARCHAR)")
        yield connection


def outline(connection: Connection, text: str) -> Outline:
    found: Outline = connection._port.outline(text)  # type: ignore[attr-defined] # of sessions in process
    return found


@pytest.mark.parametrize(("text", "types"), STATEMENTS, ids=[text[:60] for text, _ in STATEMENTS])
def test_a_parameter_has_the_type_of_what_it_meets(planes: Connection, text: str, types: list[pa.DataType]) -> None:
    assert list(outline(planes, text).parameters.values()) == types


def test_names_are_keys(planes: Connection) -> None:
    found = outline(planes, "SELECT :more + id FROM planes WHERE name = :name AND id > :more")
    assert found.parameters == {"more": pa.int64(), "name": pa.string()}


def test_the_columns_of_a_result_come_along(planes: Connection) -> None:
    found = outline(planes, "SELECT id, price * ? AS double FROM planes WHERE id = ?")
    assert found.columns is not None and found.columns.names == ["id", "double"] and found.is_complete
    changed = outline(planes, "INSERT INTO flights VALUES (?, ?)")
    assert changed.columns is None and changed.is_complete
    returned = outline(planes, "INSERT INTO planes (id) VALUES (?) RETURNING id, name")
    assert returned.columns is not None and returned.columns.names == ["id", "name"]
    unknown = outline(planes, "SELECT * FROM subscribe(?)")
    assert unknown.columns is None and not unknown.is_complete


def test_a_cursor_gives_them_when_it_prepares(planes: Connection) -> None:
    with planes.cursor() as cursor:
        assert cursor.adbc_prepare("SELECT :any FROM planes WHERE id = :id").types == [NOTHING, pa.int64()]
        assert cursor.adbc_prepare("SELECT nothing FROM nowhere") == pa.schema([])


def test_nothing_is_run_to_find_out(planes: Connection) -> None:
    for text in (
        "INSERT INTO planes (id) VALUES (?)", "INSERT INTO flights VALUES (?, 'x')", "DELETE FROM planes WHERE id < ?",
        "CREATE TABLE made AS SELECT ? AS id",
    ):  # fmt: skip
        outline(planes, text)
    for name in ("planes", "flights"):
        assert planes.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)
    with pytest.raises(jammi_sql.ProgrammingError):
        planes.execute("SELECT * FROM made")


def test_of_an_attached_table_too(planes: Connection, tmp_path: Path) -> None:
    with adbc_driver_sqlite.dbapi.connect(str(tmp_path / "shop.db"), autocommit=True) as shop, shop.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id INTEGER, note TEXT)")
    planes.execute(f"ATTACH 'sqlite:///{tmp_path}/shop.db' AS shop")
    try:
        for text in (
            "INSERT INTO shop.main.orders (note, id) VALUES (?, ?)", "SELECT * FROM shop.main.orders WHERE note = ? AND id = ?",
            "UPDATE shop.main.orders SET note = ? WHERE id = ?",
        ):  # fmt: skip
            assert outline(planes, text).parameters == {"1": pa.string(), "2": pa.int64()}
    finally:
        planes.execute("DETACH shop")


def test_the_table_is_looked_up_anew(planes: Connection) -> None:
    text = "UPDATE again SET v = ? WHERE id = ?"
    for written, known, value in (("BIGINT", pa.int64(), 1), ("VARCHAR", pa.string(), "x")):
        planes.execute(f"CREATE TABLE again (id BIGINT PRIMARY KEY, v {written})")
        planes.execute("INSERT INTO again (id) VALUES (1)")
        planes.execute(text, (value, 1))
        assert outline(planes, text).parameters == {"1": known, "2": pa.int64()}
        planes.execute("DROP TABLE again")
