"""What a folder may be when a store is opened in it, and what is refused untouched."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa
import pytest

from jammi_sql.errors import Error, ReadOnlyStore, StoreIOError, StoreVersionError
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore
from tests.privileges import unprivileged

TENANTS = NamedQuery("tenants", "SELECT tenant FROM namespace ORDER BY tenant", pa.schema([("tenant", pa.utf8())]))
INSERT = NamedQuery("insert", "INSERT INTO namespace (tenant, name) VALUES (?1, 'n')", None)


def add(store: SqliteStore, tenant: str) -> None:
    with store.begin() as transaction:
        transaction.execute(INSERT, (tenant,))


def tenants(store: SqliteStore) -> list[object]:
    return store.query(TENANTS).column(0).to_pylist()


def run_sqlite(path: Path, *statements: str) -> None:
    with adbc_driver_sqlite.connect(str(path)) as database, adbc_driver_manager.AdbcConnection(database) as connection:
        for text in statements:
            with adbc_driver_manager.AdbcStatement(connection) as statement:
                statement.set_sql_query(text)
                statement.execute_update()


@pytest.mark.parametrize("name", ["plain", "a/b/c", "file:x?mode=memory", "per%20cent #1", "größe 🙂"])
def test_a_missing_folder_is_made_whatever_its_name(tmp_path: Path, name: str) -> None:
    with SqliteStore.open(tmp_path / name) as store:
        add(store, "a")
        assert store.location == str(tmp_path / name)
    assert os.listdir(tmp_path / name) == ["jammi.db"]
    with SqliteStore.open(str(tmp_path / name), read_only=True) as store:
        assert tenants(store) == ["a"]


def test_a_relative_folder_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with SqliteStore.open("store") as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        add(store, "a")
        assert tenants(store) == ["a"]
    assert os.listdir(tmp_path / "elsewhere") == []


def test_an_empty_file_is_what_a_killed_first_opening_leaves_and_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "jammi.db").touch()
    with SqliteStore.open(tmp_path) as store:
        assert tenants(store) == []


@pytest.mark.parametrize("content", [b"x", b"no database at all\n" * 1000, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jammi.db"
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreVersionError, match="not a Jammi store") as caught:
            SqliteStore.open(tmp_path, read_only=read_only)
        assert (caught.value.sqlstate, caught.value.hint is not None) == ("55000", True)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["jammi.db"], content)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "jammi.db"
    run_sqlite(path, f"PRAGMA journal_mode = {journal}", "CREATE TABLE theirs (a)")
    content = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreVersionError, match="not a Jammi store"):
            SqliteStore.open(tmp_path, read_only=read_only)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["jammi.db"], content)


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    for target in (path, path / "inside"):
        with pytest.raises(StoreVersionError, match="not a Jammi store"):
            SqliteStore.open(target)
    assert path.read_text() == "mine"


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jammi.db").mkdir()
    with pytest.raises(StoreVersionError, match="not a Jammi store"):
        SqliteStore.open(tmp_path)


def test_reading_a_store_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreIOError, match="no store") as caught:
            SqliteStore.open(folder, read_only=True)
        assert caught.value.hint is not None
    assert os.listdir(tmp_path) == []


def test_a_store_that_failed_to_open_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "jammi.db").write_bytes(b"x" * 100)
    with pytest.raises(Error):
        SqliteStore.open(tmp_path)
    gc.collect()  # a forgotten handle would be a ResourceWarning, which is an error in tests


def test_a_temporary_store_goes_with_its_close() -> None:
    store = SqliteStore.temporary()
    add(store, "a")
    assert tenants(store) == ["a"]
    store.close()
    assert not os.path.exists(store.location)


def test_a_temporary_store_goes_with_its_process_but_not_with_a_forked_child() -> None:
    script = """
import os, sys
from jammi_sql.stores import SqliteStore
store = SqliteStore.temporary()
if os.fork() == 0:
    sys.exit()
os.wait()
assert os.path.exists(store.location)
print(store.location)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert not os.path.exists(done.stdout.strip())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="jammi-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    for file in folder.rglob("*"):
        file.chmod(0o755)
    shutil.rmtree(folder)


def protect(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


def test_a_store_cannot_be_made_in_a_read_only_folder(open_folder: Path) -> None:
    protect(open_folder)
    for folder in (open_folder, open_folder / "below"):
        with unprivileged(), pytest.raises((ReadOnlyStore, StoreIOError)) as caught:
            SqliteStore.open(folder)
        assert isinstance(caught.value, ReadOnlyStore)
        assert (caught.value.sqlstate, caught.value.hint is not None) == ("25006", True)
    assert os.listdir(open_folder) == []


def test_a_store_in_a_read_only_folder_can_be_read_and_only_read(open_folder: Path) -> None:
    with SqliteStore.open(open_folder) as store:
        add(store, "a")
    protect(open_folder)
    with unprivileged():
        with pytest.raises(ReadOnlyStore):
            SqliteStore.open(open_folder)
        with SqliteStore.open(open_folder, read_only=True) as store:
            assert tenants(store) == ["a"]
            assert store.changes() == store.changes()
            with pytest.raises(ReadOnlyStore):
                store.begin()
    assert os.listdir(open_folder) == ["jammi.db"]


def test_a_store_read_without_locks_notices_that_somebody_writes(open_folder: Path) -> None:
    with SqliteStore.open(open_folder) as store:
        add(store, "a")
    protect(open_folder)
    with unprivileged():
        reader = SqliteStore.open(open_folder, read_only=True)
    open_folder.chmod(0o755)
    (open_folder / "jammi.db").chmod(0o644)
    with SqliteStore.open(open_folder) as store:
        add(store, "b")
        with pytest.raises(StoreIOError, match="somebody writes"):
            tenants(reader)
    with pytest.raises(StoreIOError, match="somebody writes"):
        tenants(reader)
    reader.close()
    with SqliteStore.open(open_folder, read_only=True) as reader:
        assert tenants(reader) == ["a", "b"]


def test_a_live_store_can_be_read_by_a_user_who_may_not_write_it(open_folder: Path) -> None:
    with SqliteStore.open(open_folder) as store:
        add(store, "a")
        with unprivileged():
            if os.access(open_folder, os.W_OK, effective_ids=True):
                pytest.skip("this user may write here")
            with SqliteStore.open(open_folder, read_only=True) as reader:
                assert tenants(reader) == ["a"]
        add(store, "b")
        assert tenants(store) == ["a", "b"]


def test_a_folder_that_may_not_even_be_entered_is_a_clear_error(open_folder: Path) -> None:
    SqliteStore.open(open_folder).close()
    open_folder.chmod(0o000)
    for read_only in (False, True):
        with unprivileged(), pytest.raises(ReadOnlyStore) as caught:
            SqliteStore.open(open_folder, read_only=read_only)
        assert caught.value.hint is not None
