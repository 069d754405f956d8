"""Migrations: which are due, what they are made of, what is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import faults
from jammi_sql.errors import OperationalError, ReadOnlyStore, StoreVersionError
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore
from jammi_sql.stores.migrations import Migration, load_migrations, migrate, pending_migrations, split_statements

TABLES = NamedQuery(
    "tables", "SELECT name FROM sqlite_master WHERE name LIKE 'extra%' ORDER BY name", pa.schema([("name", pa.utf8())])
)
TRIGGER = """CREATE TRIGGER t AFTER INSERT ON a BEGIN
  UPDATE b SET c = CASE WHEN 1 THEN 2 END;
  DELETE FROM d;
END"""
SHIPPED = load_migrations("sqlite")
EXTRA = Migration(9998, "extra", "CREATE TABLE extra (a);\nCREATE TABLE extra_two (a);")


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        ("-- nothing; here\n/* nor; here */;", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;SELECT 2 ;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';''', \"a;\" -- x;\n, 2; SELECT 3", ["SELECT ';''', \"a;\" -- x;\n, 2", "SELECT 3"]),
        ("SELECT CASE WHEN 1 THEN 2 END; SELECT 3", ["SELECT CASE WHEN 1 THEN 2 END", "SELECT 3"]),
        (f"{TRIGGER};\nX", [TRIGGER, "X"]),
    ],
)
def test_a_script_is_split_at_the_ends_of_its_statements(text: str, statements: list[str]) -> None:
    assert list(split_statements(text)) == statements


def test_what_is_not_applied_is_pending_in_order() -> None:
    one, two, three = (Migration(number, "m", f"SELECT {number}") for number in (1, 2, 3))
    assert pending_migrations((one, two, three), {}, "here") == (one, two, three)
    assert pending_migrations((one, two, three), {1: one.checksum, 2: two.checksum}, "here") == (three,)
    assert pending_migrations((one,), {1: one.checksum}, "here") == ()


def test_a_newer_store_is_refused_with_both_versions() -> None:
    with pytest.raises(StoreVersionError, match=r"here has schema version 7, .* up to 1") as caught:
        pending_migrations((Migration(1, "m", ""),), {1: Migration(1, "m", "").checksum, 7: "x"}, "here")
    assert (caught.value.sqlstate, caught.value.hint is not None) == ("55000", True)


def test_line_ends_do_not_change_a_checksum_and_other_characters_do() -> None:
    assert Migration(1, "m", "a\r\nb\r\n").checksum == Migration(1, "m", "a\nb").checksum
    assert Migration(1, "m", "a b").checksum != Migration(1, "m", "a\nb").checksum


def test_a_changed_text_of_an_applied_migration_is_refused(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        first = Migration(SHIPPED[0].number, SHIPPED[0].name, SHIPPED[0].text + "-- changed")
        with pytest.raises(StoreVersionError, match="another text of migration 0001_"):
            migrate(store, (first, *SHIPPED[1:]))


def test_a_new_version_brings_an_older_store_up_to_date_once(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        migrate(store, (*SHIPPED, EXTRA))
        assert store.query(TABLES).column(0).to_pylist() == ["extra", "extra_two"]
        before = store.changes()
        migrate(store, (*SHIPPED, EXTRA))
        assert store.changes() == before


def test_a_store_of_a_newer_version_is_refused_at_open_and_stays_as_it_is(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        migrate(store, (*SHIPPED, EXTRA))
    before = (tmp_path / "jammi.db").read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreVersionError, match=rf"9998, .* up to {SHIPPED[-1].number}"):
            SqliteStore.open(tmp_path, read_only=read_only)
    assert (tmp_path / "jammi.db").read_bytes() == before


def test_a_migration_that_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        with faults.armed("store.migrate", "error@2"), pytest.raises(OperationalError):
            migrate(store, (*SHIPPED, EXTRA))
        assert store.query(TABLES).num_rows == 0
        migrate(store, (*SHIPPED, EXTRA))
        assert store.query(TABLES).num_rows == 2


def test_a_read_only_store_with_an_older_schema_says_how_to_bring_it_up_to_date(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    with (
        SqliteStore.open(tmp_path, read_only=True) as store,
        pytest.raises(ReadOnlyStore, match="older schema") as caught,
    ):
        migrate(store, (*SHIPPED, EXTRA))
    assert caught.value.hint is not None
