"""Connections: transactions, tenants, threads, metadata and the end."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable
from typing import Any

import adbc_driver_manager.dbapi
import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pytest

import jammi_sql.errors as errors
from jammi_sql import dbapi
from jammi_sql.dbapi import Connection
from jammi_sql.tenancy import TenantId

from .fake_session import FakeSession, QueueSource, after

TENANT = TenantId("01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a")


def test_the_module_says_what_it_can_do() -> None:
    assert (dbapi.apilevel, dbapi.threadsafety, dbapi.paramstyle) == ("2.0", 2, "qmark")


@pytest.mark.parametrize(
    "name",
    [
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    ],
)
def test_the_exceptions_are_attributes_of_the_connection(connection: Connection, name: str) -> None:
    assert getattr(connection, name) is getattr(errors, name)


def test_type_objects_compare_with_arrow_types() -> None:
    for kinds, code in (
        ([pa.string(), pa.large_string(), pa.string_view()], dbapi.STRING),
        ([pa.binary(), pa.binary_view(), pa.binary(4)], dbapi.BINARY),
        ([pa.int8(), pa.uint64(), pa.float16(), pa.decimal128(5, 2)], dbapi.NUMBER),
        ([pa.date32(), pa.time64("us"), pa.timestamp("ns", "UTC"), pa.duration("s")], dbapi.DATETIME),
        ([pa.int64()], dbapi.ROWID),
    ):
        assert all(kind == code and code == kind for kind in kinds)
    assert pa.bool_() != dbapi.NUMBER
    assert dbapi.NUMBER != dbapi.STRING
    assert len({dbapi.NUMBER, dbapi.STRING, dbapi.NUMBER}) == 2


def test_constructors_follow_pep_249() -> None:
    assert dbapi.Date(2020, 1, 2).isoformat() == "2020-01-02"
    assert dbapi.Time(1, 2, 3).isoformat() == "01:02:03"
    assert dbapi.Timestamp(2020, 1, 2).isoformat() == "2020-01-02T00:00:00"
    assert dbapi.Binary(b"a") == b"a"
    moment = dbapi.TimestampFromTicks(1_577_836_800.5)
    assert (moment.date(), moment.time()) == (dbapi.DateFromTicks(1_577_836_800), dbapi.TimeFromTicks(1_577_836_800))


# --- transactions ---------------------------------------------------------------------------------


def test_commit_and_rollback_without_a_transaction_do_nothing(connection: Connection, session: FakeSession) -> None:
    connection.commit()
    connection.rollback()
    assert session.log == []


@pytest.mark.wire_too
@pytest.mark.parametrize("method", [Connection.commit, Connection.rollback])
def test_commit_and_rollback_end_the_open_transaction(
    connection: Connection, method: Callable[[Connection], None]
) -> None:
    method(connection)
    connection._port.begin()
    assert connection.in_transaction
    method(connection)
    assert not connection.in_transaction


def test_a_block_commits_at_its_end_and_undoes_when_it_raises(connection: Connection, session: FakeSession) -> None:
    with connection.transaction() as same:
        assert same is connection
    with pytest.raises(ZeroDivisionError), connection.transaction():
        raise ZeroDivisionError
    assert session.log == ["begin", "commit", "begin", "rollback"]


@pytest.mark.wire_too
def test_a_block_inside_a_transaction_is_25001_and_leaves_it_open(connection: Connection) -> None:
    with connection.transaction():
        with pytest.raises(errors.ActiveTransaction), connection.transaction():
            pass
        assert connection.in_transaction
        with pytest.raises(errors.ProgrammingError, match="inside a transaction"):
            connection.commit()
    assert not connection.in_transaction


@pytest.mark.wire_too
@pytest.mark.parametrize("method", [Connection.commit, Connection.rollback])
def test_a_block_cannot_be_ended_from_inside(connection: Connection, method: Callable[[Connection], None]) -> None:
    with connection.transaction():
        with pytest.raises(errors.ProgrammingError, match=r"inside a transaction\(\) block") as caught:
            method(connection)
        assert caught.value.sqlstate == "25001"
        assert connection.in_transaction
    connection.commit()


@pytest.mark.wire_too
def test_a_block_whose_transaction_was_ended_in_sql_does_not_fail(connection: Connection) -> None:
    with connection.transaction():
        connection._port.rollback()
    assert not connection.in_transaction


@pytest.mark.wire_too
def test_autocommit_is_the_sessions(connection: Connection) -> None:
    assert connection.autocommit
    connection.autocommit = False
    assert not connection.autocommit and not connection._port.autocommit


# --- Jammi ----------------------------------------------------------------------------------------


def test_the_tenant_is_restored_after_the_scope_even_when_it_raises(connection: Connection) -> None:
    with connection.tenant_scope(str(TENANT)):
        assert connection.tenant == TENANT
        with pytest.raises(ZeroDivisionError), connection.tenant_scope(None):
            raise ZeroDivisionError
        assert connection.tenant == TENANT
    assert connection.tenant is None


def test_a_scope_for_no_tenant_at_all_is_refused(connection: Connection) -> None:
    with pytest.raises(errors.InvalidParameter), connection.tenant_scope("nobody"):
        pass


def test_engine_and_backup_are_the_sessions(connection: Connection, session: FakeSession) -> None:
    assert connection.engine is session.engine
    connection.backup("copy")
    assert session.log == ["backup copy"]


# --- ADBC -----------------------------------------------------------------------------------------


def test_it_is_an_adbc_connection_without_a_handle(connection: Connection) -> None:
    assert isinstance(connection, adbc_driver_manager.dbapi.Connection)
    assert not hasattr(connection, "adbc_connection")
    assert not hasattr(connection, "adbc_database")


def test_no_method_of_the_base_class_is_left_to_its_handle() -> None:
    ours = {name for name in vars(adbc_driver_manager.dbapi.Connection) if not name.startswith("__")}
    inherited = ours - set(vars(Connection)) - set(dir(errors))
    assert inherited <= {"_abc_impl"}
    assert "__del__" in vars(Connection)


def test_info_names_the_vendor(connection: Connection) -> None:
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Jammi SQL"
    assert info["driver_arrow_version"] == pa.__version__
    assert info["driver_adbc_version"] == 1_001_000


def test_objects_have_the_schema_that_the_standard_prescribes(connection: Connection) -> None:
    with adbc_driver_sqlite.dbapi.connect() as reference:
        expected = reference.adbc_get_objects().read_all().schema
    assert connection.adbc_get_objects().schema.equals(expected)


def _objects(connection: Connection, **filters: Any) -> list[dict[str, Any]]:
    return connection.adbc_get_objects(**filters).read_all().to_pylist()


@pytest.mark.in_process("the catalogue is the fake session's")
def test_objects_stop_at_the_depth_asked_for(connection: Connection) -> None:
    assert _objects(connection, depth="catalogs") == [
        {"catalog_name": "datafusion", "catalog_db_schemas": None},
        {"catalog_name": "empty", "catalog_db_schemas": None},
    ]
    (catalog, empty) = _objects(connection, depth="db_schemas")
    assert catalog["catalog_db_schemas"] == [
        {"db_schema_name": "public", "db_schema_tables": None},
        {"db_schema_name": "void", "db_schema_tables": None},
    ]
    assert empty["catalog_db_schemas"] == []
    (catalog, _) = _objects(connection, depth="tables")
    (public, void) = catalog["catalog_db_schemas"]
    assert public["db_schema_tables"] == [
        {"table_name": "planes", "table_type": "table", "table_columns": None, "table_constraints": None}
    ]
    assert void["db_schema_tables"] == []


@pytest.mark.in_process("the catalogue is the fake session's")
@pytest.mark.parametrize("depth", ["columns", "all"])
def test_objects_list_columns_in_order(connection: Connection, depth: str) -> None:
    (catalog, _) = _objects(connection, depth=depth)
    (table,) = catalog["catalog_db_schemas"][0]["db_schema_tables"]
    columns = [(c["column_name"], c["ordinal_position"], c["xdbc_type_name"]) for c in table["table_columns"]]
    assert columns == [("tail", 1, "STRING"), ("seats", 2, "INT64")]
    assert [c["xdbc_is_nullable"] for c in table["table_columns"]] == ["YES", "YES"]
    assert table["table_constraints"] == []


@pytest.mark.in_process("the catalogue is the fake session's")
def test_objects_are_filtered_by_pattern_and_type(connection: Connection) -> None:
    connection.cursor().adbc_ingest("boats", pa.table({"tail_no": [1]}))

    def tables(**filters: Any) -> list[str]:
        (catalog, *_) = _objects(connection, **filters)
        return [table["table_name"] for table in catalog["catalog_db_schemas"][0]["db_schema_tables"]]

    assert tables() == ["boats", "planes"]
    assert tables(table_name_filter="boats") == ["boats"]
    assert tables(table_name_filter="%a_es") == ["planes"]
    assert tables(table_name_filter="plane") == []
    assert tables(table_name_filter="p.*") == []
    assert tables(table_types_filter=["view"]) == []
    assert tables(table_types_filter=["view", "table"]) == ["boats", "planes"]
    assert [c["catalog_name"] for c in _objects(connection, catalog_filter="e%")] == ["empty"]
    (catalog, _) = _objects(connection, db_schema_filter="vo__")
    assert [schema["db_schema_name"] for schema in catalog["catalog_db_schemas"]] == ["void"]
    (catalog, _) = _objects(connection, column_name_filter="seats")
    found = [table["table_columns"] for table in catalog["catalog_db_schemas"][0]["db_schema_tables"]]
    assert [[column["column_name"] for column in columns] for columns in found] == [[], ["seats"]]


def test_an_unknown_depth_is_refused(connection: Connection) -> None:
    with pytest.raises(errors.InvalidParameter, match="no depth 'deep'"):
        connection.adbc_get_objects(depth="deep")


def test_table_schema_and_types(connection: Connection) -> None:
    assert connection.adbc_get_table_schema("planes").names == ["tail", "seats"]
    with pytest.raises(errors.UndefinedTable):
        connection.adbc_get_table_schema("boats")
    assert connection.adbc_get_table_types() == ["table", "view", "system view"]


def test_the_current_catalog_and_schema_can_be_changed(connection: Connection, session: FakeSession) -> None:
    assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("datafusion", "public")
    connection.adbc_current_catalog = "c"
    connection.adbc_current_db_schema = "s"
    assert (session.current_catalog, session.current_schema) == ("c", "s")


@pytest.mark.parametrize(
    "method", [Connection.adbc_clone, Connection.adbc_get_statistics, Connection.adbc_get_statistic_names]
)
def test_what_does_not_exist_says_so(connection: Connection, method: Callable[[Connection], None]) -> None:
    with pytest.raises(errors.NotSupportedError):
        method(connection)


def test_statement_options_are_refused(connection: Connection) -> None:
    with pytest.raises(errors.NotSupportedError, match=r"adbc\.x"):
        connection.cursor(adbc_stmt_kwargs={"adbc.x": 1})


# --- threads and the end --------------------------------------------------------------------------


def test_threads_share_a_connection(connection: Connection) -> None:
    answers: dict[int, list[tuple[Any, ...]]] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            answers[number] = connection.execute("SELECT $1 + seats FROM planes WHERE tail = 'N1'", [number]).fetchall()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == {number: [(number + 10,)] for number in range(4)}


def test_cancel_ends_the_running_statement_and_every_live_read(connection: Connection, session: FakeSession) -> None:
    live = connection.execute("LIVE")
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            connection.execute("BLOCK")
        except errors.QueryCanceled as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert session.blocked.wait(50)
    connection.adbc_cancel()
    thread.join(50)
    assert len(outcome) == 1
    with pytest.raises(errors.QueryCanceled):
        live.fetchone()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def _interrupt() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def test_ctrl_c_cancels_the_running_statement(connection: Connection, session: FakeSession) -> None:
    after(session.blocked, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        connection.execute("BLOCK")
    assert session.cancelled.is_set()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_ctrl_c_ends_a_live_read(connection: Connection, session: FakeSession) -> None:
    cursor = connection.execute("LIVE")
    after(session.live.waiting, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        cursor.fetchone()
    assert session.live.closed
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.wire_too
@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.cursor(),
        lambda c: c.execute("SELECT 1"),
        Connection.commit,
        Connection.rollback,
        Connection.adbc_cancel,
        Connection.adbc_get_info,
        Connection.adbc_get_objects,
        lambda c: c.adbc_current_catalog,
        lambda c: c.transaction().__enter__(),
        lambda c: c.backup("x"),
    ],
)
def test_a_closed_connection_is_an_interface_error(connection: Connection, use: Callable[[Connection], object]) -> None:
    cursor = connection.execute("SELECT 1")
    connection.close()
    connection.close()
    assert (connection.closed, connection._port.closed) == (True, True)
    with pytest.raises(errors.InterfaceError, match="the connection is closed"):
        use(connection)
    with pytest.raises(errors.InterfaceError, match="the connection is closed"):
        cursor.fetchone()


def test_closing_ends_what_is_read_and_run_in_other_threads(session: FakeSession) -> None:
    connection = Connection(session)
    reader = connection.execute("LIVE").fetch_record_batch()
    outcome: list[type[BaseException]] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except errors.Error as error:
            outcome.append(type(error))

    threads = [
        threading.Thread(target=run, args=(reader.read_next_batch,)),
        threading.Thread(target=run, args=(lambda: connection.execute("BLOCK"),)),
    ]
    for thread in threads:
        thread.start()
    assert session.live.waiting.wait(50)
    assert session.blocked.wait(50)
    connection.close()
    for thread in threads:
        thread.join(50)
    assert len(outcome) == 2
    assert set(outcome) <= {errors.QueryCanceled, errors.ConnectionClosed}
    assert session.live.closed


def test_closing_closes_live_results_that_nobody_waits_for(session: FakeSession) -> None:
    connection = Connection(session)
    cursor = connection.execute("LIVE")
    connection.close()
    assert session.live.closed
    cursor.close()


@pytest.mark.parametrize("owns", [True, False])
def test_an_engine_of_its_own_closes_with_the_connection(session: FakeSession, owns: bool) -> None:
    engine = session.engine = QueueSource(pa.schema([]))  # anything that can be closed
    Connection(session, owns_engine=owns).close()
    assert engine.closed is owns


def test_a_connection_that_nobody_holds_closes_its_session_without_a_warning(session: FakeSession) -> None:
    connection = Connection(session)
    connection.execute("SELECT 1")
    del connection
    gc.collect()
    assert session.closed


def test_it_closes_at_the_end_of_its_block(session: FakeSession) -> None:
    with Connection(session) as connection:
        assert not connection.closed
    assert session.closed
