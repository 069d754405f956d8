"""What every store does with one transaction: what it reads, writes, undoes and calls afterwards."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jammi_sql.errors import (
    Error,
    FailedTransaction,
    IntegrityError,
    InterfaceError,
    LockNotAvailable,
    NotNullViolation,
    UndefinedObject,
    UniqueViolation,
)
from jammi_sql.ports import NamedQuery, Store
from tests.store_support import ALL, ITEM, Opener, items, names, one_writer, q

NUMBERS = NamedQuery(
    "numbers", "SELECT id, rank FROM item ORDER BY id", pa.schema([("id", pa.int64()), ("rank", pa.int64())])
)

KINDS = {pa.int64(): "BIGINT", pa.utf8(): "TEXT", pa.binary(): "BYTEA", pa.float64(): "DOUBLE PRECISION"}


def test_a_committed_row_is_read_by_the_store_and_by_another_opening_of_it(store: Store, opener: Opener) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
    assert names(store) == ["a"]
    assert names(opener()) == ["a"]


def test_a_transaction_reads_its_own_writes_and_nobody_else_does(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        assert names(transaction) == ["a"]
        assert names(store) == []
        assert (transaction.committed, store.committed) == (False, True)


def test_an_exception_in_the_block_undoes_it_and_gives_the_lock_back(store: Store) -> None:
    transaction = store.begin()
    transaction.execute(q(store).insert, (1, "a"))
    with pytest.raises(KeyError), transaction:
        raise KeyError
    assert names(store) == []
    store.begin(timeout=0).rollback()


def test_results_have_exactly_the_declared_schema_even_when_empty_or_all_null(store: Store) -> None:
    assert store.query(ALL).equals(ITEM.empty_table())
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
    assert store.query(NUMBERS).to_pydict() == {"id": [1], "rank": [None]}
    assert store.query(NUMBERS).schema == NUMBERS.returns


def test_results_of_more_rows_than_the_driver_looks_at_are_whole(store: Store) -> None:
    series = q(store).series.format(5000)
    wide = NamedQuery("wide", f"{series} SELECT id, CASE WHEN id > 4000 THEN id END AS rank FROM n", NUMBERS.returns)
    table = store.query(wide)
    assert table.num_rows == 5000
    assert table.column("rank").to_pylist()[3998:4002] == [None, None, 4001, 4002]


@pytest.mark.parametrize(
    "value", [0, -(2**63), 2**63 - 1, "", "x'\"\0é🙂", b"", b"\0\xff", 1.5, -0.0, float("inf"), None], ids=repr
)
def test_each_kind_of_value_comes_back_as_it_went_in(store: Store, value: int | str | bytes | float | None) -> None:
    kind = pa.scalar(value).type if value is not None else pa.utf8()
    if store.kind == "postgres" and isinstance(value, str):
        value = value.replace("\0", "")  # which its text cannot hold: tables have bytes there
    echo = NamedQuery("echo", q(store).echo.format(KINDS[kind]), pa.schema([("value", kind)]))
    [answer] = store.query(echo, (value,)).column("value").to_pylist()
    assert (type(answer), repr(answer)) == (type(value), repr(value))


def test_a_record_batch_runs_the_statement_once_per_row_and_the_results_follow_each_other(store: Store) -> None:
    rows = items([3, 1, 2], ["c", "a", "b"])
    with store.begin() as transaction:
        returned = transaction.query(q(store).returning, rows)
        assert returned.to_pydict() == {"id": [3, 1, 2], "name": ["c", "a", "b"]}
        transaction.execute(q(store).insert_rows, items([4, 5], ["d", "e"]))
    assert names(store) == ["a", "b", "c", "d", "e"]
    assert store.query(q(store).by_ids, pa.record_batch({"id": [5, 9, 1]})).to_pydict() == {
        "id": [5, 1],
        "name": ["e", "a"],
    }


def test_a_statement_without_rows_says_how_many_it_changed_over_all_rows_of_its_parameters(store: Store) -> None:
    insert = q(store).some
    with store.begin() as transaction:
        batch = items([1, 2, 3], ["a", "b", "c"])
        assert transaction.execute(insert, batch) == 2
        assert transaction.execute(insert, items([2], ["b"])) == 0
        assert transaction.execute(insert, batch.slice(0, 0)) == 0
        assert transaction.execute(NamedQuery("clear", "DELETE FROM item", None)) == 2


def test_a_record_batch_without_rows_runs_nothing(store: Store) -> None:
    empty = items([], [])
    with store.begin() as transaction:
        assert transaction.query(q(store).returning, empty).equals(ITEM.empty_table())
        transaction.execute(q(store).insert_rows, empty)
    assert names(store) == []


def test_constraints_are_told_apart_and_leave_the_transaction_usable(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        for values, kind, sqlstate in (
            ((1, "again"), UniqueViolation, "23505"),
            ((2, None), NotNullViolation, "23502"),
            ((1000, "check"), IntegrityError, "23000"),
        ):
            if not transaction.undoes_statements:
                transaction.savepoint("statement")
            with pytest.raises(kind) as caught:
                transaction.execute(q(store).insert, values)
            if not transaction.undoes_statements:
                transaction.rollback_to("statement")
            assert caught.value.sqlstate == sqlstate
            assert caught.value.__cause__ is not None
            assert "again" not in str(caught.value)
        transaction.execute(q(store).insert, (3, "c"))
    assert names(store) == ["a", "c"]


def test_a_savepoint_has_any_name_and_undoes_what_came_after_it(store: Store) -> None:
    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        transaction.savepoint('odd "name"; DROP TABLE item')
        transaction.execute(q(store).insert, (2, "b"))
        transaction.savepoint("inner")
        transaction.execute(q(store).insert, (3, "c"))
        transaction.rollback_to('odd "name"; DROP TABLE item')
        with pytest.raises(UndefinedObject):
            transaction.release("inner")
        transaction.execute(q(store).insert, (4, "d"))
        transaction.rollback_to('odd "name"; DROP TABLE item')
        transaction.execute(q(store).insert, (5, "e"))
        transaction.release('odd "name"; DROP TABLE item')
    assert names(store) == ["a", "e"]


def test_a_savepoint_of_the_same_name_hides_the_outer_one(store: Store) -> None:
    with store.begin() as transaction:
        transaction.savepoint("s")
        transaction.execute(q(store).insert, (1, "a"))
        transaction.savepoint("s")
        transaction.execute(q(store).insert, (2, "b"))
        transaction.rollback_to("s")
        assert names(transaction) == ["a"]
        transaction.release("s")
        transaction.rollback_to("s")
        assert names(transaction) == []


@one_writer
def test_callbacks_run_once_after_the_commit_while_the_lock_is_held(store: Store, opener: Opener) -> None:
    other = opener()
    seen: list[object] = []

    def look() -> None:
        seen.append(names(other))
        with pytest.raises(LockNotAvailable):
            store.begin(timeout=0)

    with store.begin() as transaction:
        transaction.execute(q(store).insert, (1, "a"))
        transaction.after_commit(look)
        assert seen == []
    assert seen == [["a"]]


def test_callbacks_are_forgotten_with_the_work_that_is_undone(store: Store) -> None:
    seen: list[str] = []
    with store.begin() as transaction:
        transaction.after_commit(lambda: seen.append("before"))
        transaction.savepoint("s")
        transaction.after_commit(lambda: seen.append("undone"))
        transaction.rollback_to("s")
        transaction.after_commit(lambda: seen.append("after"))
    transaction = store.begin()
    transaction.after_commit(lambda: seen.append("rolled back"))
    transaction.rollback()
    assert seen == ["before", "after"]


def test_a_transaction_that_is_over_refuses_everything_but_rollback(store: Store) -> None:
    transaction = store.begin()
    transaction.commit()
    for call in (
        lambda: transaction.execute(q(store).insert, (1, "a")),
        lambda: transaction.query(ALL),
        lambda: transaction.savepoint("s"),
        transaction.commit,
    ):
        with pytest.raises(InterfaceError, match="over"):
            call()
    transaction.rollback()
    assert names(store) == []


def test_after_an_operational_error_the_transaction_is_lost_and_says_so(store: Store) -> None:
    transaction = store.begin()
    transaction.execute(q(store).insert, (1, "a"))
    with pytest.raises(Error):
        transaction.execute(NamedQuery("broken", "INSERT INTO nowhere VALUES (1)", None))
    with pytest.raises(FailedTransaction) as caught:
        transaction.execute(q(store).insert, (2, "b"))
    assert caught.value.sqlstate == "25P02"
    with pytest.raises(FailedTransaction):
        transaction.commit()
    assert names(store) == []
    store.begin(timeout=0).rollback()
