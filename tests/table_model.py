"""Tables as lists of rows, and what sessions on one store are to see of them and to be refused."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from hypothesis.stateful import RuleBasedStateMachine

from jammi_sql import Engine
from jammi_sql.errors import Error
from jammi_sql.ports import NamedQuery

__all__ = [
    "CHANGES", "CONDITIONS", "EXISTS", "NOT_NULL", "NOT_YOURS", "TWICE", "UNIQUE", "UNKNOWN", "Client", "Database",
    "ModelledTables", "Refused", "Row", "Table", "values",
]  # fmt: skip

Row = dict[str, Any]
INTEGRITY = NamedQuery("check", "PRAGMA integrity_check", pa.schema([("integrity_check", pa.utf8())]))
UNKNOWN, LOCKED, STALE, EXISTS = "42P01", "55P03", "40001", "42P07"
NOT_NULL, UNIQUE, TWICE, NOT_YOURS = "23502", "23505", "21000", "42501"


class Refused(Exception):
    """What the engine is to refuse, with the states that it may give."""

    def __init__(self, *states: str) -> None:
        super().__init__(*states)
        self.states = set(states)


@dataclass
class Table:
    """A table as a list of rows, each with its tenant."""

    owner: Any
    columns: dict[str, Any]
    """With their defaults, in order."""
    key: tuple[str, ...]
    unique: list[tuple[str, ...]]
    rows: list[tuple[Any, Row]] = field(default_factory=list)
    version: int = 0
    number: int = 0
    indexed: bool = False

    def check(self) -> None:
        states = set()
        if any(row[name] is None for _, row in self.rows for name in self.key):
            states.add(NOT_NULL)
        for key in [self.key, *self.unique]:
            seen = [(tenant, *(row[name] for name in key)) for tenant, row in self.rows]
            present = [one for one in seen if None not in one[1:]]
            if key and len(present) != len(set(present)):
                states.add(UNIQUE)
        if states:
            raise Refused(*states)

    def full(self, given: Row) -> Row:
        return {name: given.get(name, default) for name, default in self.columns.items()}

    def clashes(self, tenant: Any, row: Row, key: Sequence[str]) -> bool:
        return any(
            owner == tenant and all(row[name] is not None and row[name] == other[name] for name in key)
            for owner, other in self.rows
        )


@dataclass
class Database:
    """Everything that is committed, or that a transaction sees."""

    tables: dict[tuple[Any, str], Table] = field(default_factory=dict)
    events: list[tuple[Any, int]] = field(default_factory=list)

    def find(self, tenant: Any, name: str) -> Table:
        for owner in (tenant, None):
            if (owner, name) in self.tables:
                return self.tables[owner, name]
        raise Refused(UNKNOWN)


@dataclass
class Client:
    """A session, and what is to be true of it."""

    connection: Any
    engine: int
    tenant: Any
    open: bool = False
    work: Database | None = None
    """What its transaction made, once it wrote."""
    savepoints: list[tuple[str, Database]] = field(default_factory=list)
    read: dict[int, int] = field(default_factory=dict)
    """The tables that its transaction read before it wrote, by identity, with their versions."""


def literal(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def values(rows: Iterable[Row], names: Sequence[str]) -> str:
    return ", ".join("(" + ", ".join(literal(row[name]) for name in names) + ")" for row in rows)


CONDITIONS: dict[str, Callable[[Row], bool | None]] = {
    "true": lambda row: True,
    "k = 2": lambda row: row["k"] is not None and row["k"] == 2,
    "a > 3": lambda row: row["a"] is not None and row["a"] > 3,
    "s IS NULL OR s < 'b'": lambda row: row["s"] is None or row["s"] < "b",
    "k IN (1, 3, 5) AND NOT a = 4": lambda row: row["k"] in (1, 3, 5) and row["a"] is not None and row["a"] != 4,
    "k % 2 = 0": lambda row: row["k"] is not None and row["k"] % 2 == 0,
}
CHANGES: dict[str, Callable[[Row], Row]] = {
    "a = a + 1": lambda row: {"a": None if row["a"] is None else row["a"] + 1},
    "k = k + 1": lambda row: {"k": None if row["k"] is None else row["k"] + 1},
    "k = -k, a = NULL": lambda row: {"k": None if row["k"] is None else -row["k"], "a": None},
    "s = coalesce(s, '') || 'x'": lambda row: {"s": ((row["s"] or "") + "x")},
    "a = k, s = CASE WHEN a IS NULL THEN NULL ELSE 'é' END": lambda row: {
        "a": row["k"],
        "s": None if row["a"] is None else "é",
    },
    "k = NULL": lambda row: {"k": None},
}


class ModelledTables(RuleBasedStateMachine):
    """Sessions on a store, and what is to be in it. One thread, so that whoever holds the write lock keeps it from the others."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="jammi-stateful-")
        self.engines: list[Engine] = []
        self.clients: list[Client] = []
        self.committed = Database()
        self.made = self.steps = 0

    def holder(self) -> Client | None:
        return next((client for client in self.clients if client.work is not None), None)

    def seen(self, client: Client) -> Database:
        return self.committed if client.work is None else client.work

    def obstacles(self, client: Client) -> set[str]:
        """What keeps a session from its first write."""
        if client.work is not None:
            return set()
        if self.holder() is not None:
            return {LOCKED}
        versions = {id_: table.version for table in self.committed.tables.values() for id_ in [self.identity(table)]}
        if any(versions.get(number) != version for number, version in client.read.items()):
            return {STALE}
        return set()

    def identity(self, table: Table) -> int:
        return table.number

    def write(self, number: int, text: str, change: Callable[[Database], Any]) -> None:
        """Run ``text``, which is to do what ``change`` does or to be refused as it is."""
        client = self.clients[number]
        after = copy.deepcopy(self.seen(client))
        allowed = self.obstacles(client)
        count = None
        try:
            count = change(after)
        except Refused as refused:
            allowed |= refused.states  # whichever is found out first
        if allowed:
            self.refused(client, text, allowed)
            self.take_if_held(client)
            return
        cursor = client.connection.execute(text)
        if count is not None:
            assert cursor.rowcount == count, text
        if not client.open:
            self.committed = after
        else:
            self.take(client)
            client.work = after

    def take(self, client: Client) -> None:
        if client.work is None:
            client.work = copy.deepcopy(self.committed)
            client.read = {}

    def take_if_held(self, client: Client) -> None:
        """A statement that fails may have taken the lock before, which its transaction keeps."""
        if client.open and client.connection._port.scope.has_written:
            assert not self.obstacles(client)
            self.take(client)

    def refused(self, client: Client, text: str, states: set[str]) -> None:
        try:
            client.connection.execute(text)
        except Error as error:
            assert error.sqlstate in states, (text, error, states)
            return
        raise AssertionError(f"{text} was to be refused with {states}")

    def note(self, client: Client, names: Iterable[str]) -> None:
        """What a transaction reads before it writes must still hold when it does."""
        if client.open and client.work is None:
            for name in names:
                try:
                    table = self.committed.find(client.tenant, name)
                except Refused:
                    continue
                client.read.setdefault(self.identity(table), table.version)

    @staticmethod
    def visible(client: Client, table: Table) -> list[Row]:
        return [
            {column: row[column] for column in table.columns}
            for owner, row in table.rows
            if owner in (None, client.tenant)
        ]

    def teardown(self) -> None:
        try:
            for client in self.clients:
                client.connection.close()
            for engine in self.engines:
                assert engine.services.store.query(INTEGRITY).column(0).to_pylist() == ["ok"]
        finally:
            for engine in self.engines:
                engine.close()
            shutil.rmtree(self.folder)
