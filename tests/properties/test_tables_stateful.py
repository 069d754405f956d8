"""Companion tables against plain Python lists: several sessions, engines and tenants, transactions and savepoints."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from jammi_sql import Engine
from tests.table_model import (
    CHANGES,
    CONDITIONS,
    EXISTS,
    NOT_NULL,
    NOT_YOURS,
    TWICE,
    UNIQUE,
    UNKNOWN,
    Client,
    Database,
    ModelledTables,
    Refused,
    Row,
    Table,
    values,
)
from tests.topic_support import TENANT_A, TENANT_B

THOROUGH = settings.get_current_profile_name() == "thorough"

CLIENTS = st.integers(0, 4)
NAMES = st.sampled_from(["t", "t", "t", "u"])
NUMBERS = st.none() | st.integers(0, 6)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"k": st.integers(0, 7) | NUMBERS, "a": NUMBERS, "s": st.sampled_from([None, "", "a", "bb", "ü"])}
    ),
    min_size=1,
    max_size=4,
)
SAVEPOINTS = st.sampled_from(["p", "q"])


class TablesAgainstLists(ModelledTables):
    """Two engines on one store."""

    @initialize(first=st.integers(0, 3))
    def begin(self, first: int) -> None:
        self.engines = [Engine.open(self.folder, lock_timeout=0.02) for _ in range(2)]
        for number, tenant in enumerate((None, TENANT_A, TENANT_B, TENANT_A, None)):
            engine = number % 2
            self.clients.append(Client(self.engines[engine].session(tenant), engine, tenant))
        self.clients[0].connection.execute("CREATE TOPIC ev (n BIGINT)")
        self.make(0, "t", first, False)
        self.insert(0, "t", [{"k": number, "a": number, "s": "a"} for number in range(3)])
        self.insert(1, "t", [{"k": number, "a": 9 - number, "s": None} for number in range(2)])

    # --- transactions ---

    @rule(number=CLIENTS)
    def open_transaction(self, number: int) -> None:
        client = self.clients[number]
        if client.open:
            self.refused(client, "BEGIN", {"25001"})
            return
        client.connection.execute("BEGIN")
        client.open, client.savepoints, client.read = True, [], {}

    @rule(number=CLIENTS, word=st.sampled_from(["COMMIT", "COMMIT", "ROLLBACK"]))
    def end_transaction(self, number: int, word: str) -> None:
        client = self.clients[number]
        if not client.open:
            self.refused(client, word, {"25P01"})
            return
        client.connection.execute(word)
        if word == "COMMIT" and client.work is not None:
            self.committed = client.work
        client.open, client.work = False, None

    @rule(number=CLIENTS, name=SAVEPOINTS)
    def savepoint(self, number: int, name: str) -> None:
        client = self.clients[number]
        if not client.open:
            self.refused(client, f"SAVEPOINT {name}", {"25P01"})
            return
        states = self.obstacles(client)
        if states:
            self.refused(client, f"SAVEPOINT {name}", states)
            return
        client.connection.execute(f"SAVEPOINT {name}")
        self.take(client)
        client.savepoints.append((name, copy.deepcopy(self.seen(client))))

    @rule(number=CLIENTS, name=SAVEPOINTS, release=st.booleans())
    def end_savepoint(self, number: int, name: str, release: bool) -> None:
        client = self.clients[number]
        text = f"RELEASE {name}" if release else f"ROLLBACK TO {name}"
        places = [place for place, (other, _) in enumerate(client.savepoints) if other == name]
        if not client.open or client.work is None or not places:
            states = {"3B001", "42704", *self.obstacles(client)} if client.open else {"25P01"}
            self.refused(client, text, states)
            self.take_if_held(client)
            return
        client.connection.execute(text)
        if release:
            del client.savepoints[places[-1] :]
        else:
            client.work = copy.deepcopy(client.savepoints[places[-1]][1])
            del client.savepoints[places[-1] + 1 :]

    # --- rows ---

    @rule(number=CLIENTS, name=NAMES, rows=ROWS)
    def insert(self, number: int, name: str, rows: list[Row]) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            table.rows += [(client.tenant, table.full(row)) for row in rows]
            table.version += 1
            table.check()
            return len(rows)

        self.write(number, f"INSERT INTO {name} (s, a, k) VALUES {values(rows, 'sak')}", change)

    @rule(number=CLIENTS, name=NAMES, rows=ROWS, key=st.sampled_from(["", "(k)", "(a)"]))
    def insert_or_nothing(self, number: int, name: str, rows: list[Row], key: str) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            keys = [key for key in [table.key, *table.unique] if key]
            if key:
                keys = [each for each in keys if each == (key[1],)]
                if not keys:
                    raise Refused("42P10", NOT_NULL)
            count = 0
            for row in rows:
                if not any(table.clashes(client.tenant, row, key) for key in keys):
                    table.rows.append((client.tenant, table.full(row)))
                    count += 1
            null = any(row[column] is None for row in rows for column in table.key)
            table.version += bool(count)
            if null:  # looked at for all rows, those that are passed over too
                raise Refused(NOT_NULL, UNIQUE)
            table.check()
            return count

        self.write(
            number, f"INSERT INTO {name} (k, a, s) VALUES {values(rows, 'kas')} ON CONFLICT {key} DO NOTHING", change
        )

    @rule(number=CLIENTS, name=NAMES, rows=ROWS, limit=st.booleans())
    def insert_or_update(self, number: int, name: str, rows: list[Row], limit: bool) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            if table.key != ("k",):
                raise Refused("42P10", NOT_NULL)
            keys = [row["k"] for row in rows]
            states = set()
            present = [key for key in keys if key is not None]
            if len(set(present)) < len(present):
                states.add(TWICE)
            if None in keys:
                states.add(NOT_NULL)
            if states:
                raise Refused(*states, UNIQUE)
            count = 0
            for row in rows:
                present = [old for owner, old in table.rows if owner == client.tenant and old["k"] == row["k"]]
                for old in present:
                    if limit and not (old["a"] is not None and old["a"] > 1):
                        continue
                    old["s"] = (row["s"] or "-") + str(old["a"] or 0)
                    count += 1
                if not present:
                    table.rows.append((client.tenant, table.full(row)))
                    count += 1
            table.version += bool(count)
            table.check()
            return count

        where = f" WHERE {name}.a > 1" if limit else ""
        self.write(
            number,
            f"INSERT INTO {name} (k, a, s) VALUES {values(rows, 'kas')} ON CONFLICT (k) DO UPDATE SET "
            f"s = coalesce(nullif(excluded.s, ''), '-') || coalesce({name}.a, 0)::varchar{where}",
            change,
        )

    @rule(number=CLIENTS, name=NAMES, what=st.sampled_from(list(CHANGES)), where=st.sampled_from(list(CONDITIONS)))
    def update(self, number: int, name: str, what: str, where: str) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            rows = [row for owner, row in table.rows if owner == client.tenant and CONDITIONS[where](row)]
            for row in rows:
                row.update(CHANGES[what](row))
            table.version += bool(rows)
            table.check()
            return len(rows)

        self.write(number, f"UPDATE {name} SET {what} WHERE {where}", change)

    @rule(number=CLIENTS, name=NAMES, rows=ROWS)
    def update_from(self, number: int, name: str, rows: list[Row]) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            changed = 0
            twice = False
            for owner, row in table.rows:
                new = [one for one in rows if owner == client.tenant and one["k"] == row["k"] is not None]
                twice = twice or len(new) > 1
                if len(new) == 1:
                    row["a"], row["s"] = new[0]["a"], (row["s"] or "") + "f"
                    changed += 1
            if twice:
                raise Refused(TWICE)
            table.version += bool(changed)
            table.check()
            return changed

        self.write(
            number,
            f"UPDATE {name} SET a = v.a, s = coalesce(s, '') || 'f' FROM (VALUES {values(rows, 'ka')}) AS v(k, a) "
            f"WHERE {name}.k = v.k",
            change,
        )

    @rule(number=CLIENTS, name=NAMES, where=st.sampled_from(list(CONDITIONS)), rows=st.none() | ROWS)
    def delete(self, number: int, name: str, where: str, rows: list[Row] | None) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            keys = None if rows is None else [row["k"] for row in rows if row["k"] is not None]
            kept = [
                (owner, row)
                for owner, row in table.rows
                if owner != client.tenant or not CONDITIONS[where](row) or (keys is not None and row["k"] not in keys)
            ]
            count = len(table.rows) - len(kept)
            table.rows = kept
            table.version += bool(count)
            return count

        using = "" if rows is None else f" USING (VALUES {values(rows, 'ka')}) AS v(key, other)"
        condition = f"{where}" if rows is None else f"({where}) AND k = v.key"
        self.write(number, f"DELETE FROM {name}{using} WHERE {condition}", change)

    @rule(number=CLIENTS, name=NAMES, word=st.sampled_from(["TRUNCATE TABLE", "DELETE FROM"]))
    def clear(self, number: int, name: str, word: str) -> None:
        client = self.clients[number]

        def change(data: Database) -> int | None:
            table = data.find(client.tenant, name)
            kept = [(owner, row) for owner, row in table.rows if owner != client.tenant]
            count = len(table.rows) - len(kept)
            table.rows = kept
            table.version += bool(count)
            return count if word == "DELETE FROM" else None

        self.write(number, f"{word} {name}", change)

    @rule(number=CLIENTS, name=NAMES, rows=ROWS, delete=st.booleans())
    def merge(self, number: int, name: str, rows: list[Row], delete: bool) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            table = data.find(client.tenant, name)
            count, gone, hit = 0, [], []
            fresh = []
            for row in rows:
                present = [
                    old for owner, old in table.rows if owner == client.tenant and old["k"] == row["k"] is not None
                ]
                for old in present:
                    if delete and row["a"] is None:
                        gone.append(id(old))
                        count += 1
                    elif row["s"] is not None:
                        hit.append((old, row))
                        count += 1
                if not present and row["k"] is not None:
                    fresh.append({"k": row["k"], "s": row["s"]})
            touched = [*gone, *(id(old) for old, _ in hit)]
            if len(touched) != len(set(touched)):
                raise Refused(TWICE)
            for old, row in hit:
                old["s"] = row["s"] + "m"
            table.rows = [(owner, row) for owner, row in table.rows if id(row) not in gone]
            table.rows += [(client.tenant, table.full(row)) for row in fresh]
            count += len(fresh)
            table.version += bool(count)
            table.check()
            return count

        clauses = "WHEN MATCHED AND v.a IS NULL THEN DELETE " if delete else ""
        self.write(
            number,
            f"MERGE INTO {name} AS x USING (SELECT k, a::bigint AS a, s::varchar AS s FROM (VALUES {values(rows, 'kas')}) AS w(k, a, s)) AS v "
            f"ON x.k = v.k {clauses}WHEN MATCHED AND v.s IS NOT NULL THEN UPDATE SET s = v.s || 'm' "
            "WHEN NOT MATCHED AND v.k IS NOT NULL THEN INSERT (k, s) VALUES (v.k, v.s)",
            change,
        )

    @rule(number=CLIENTS, name=NAMES, source=NAMES)
    def insert_from(self, number: int, name: str, source: str) -> None:
        """INSERT ... SELECT over the rows that the session sees, its tenant's and the global ones."""
        client = self.clients[number]

        def change(data: Database) -> int:
            table, other = data.find(client.tenant, name), data.find(client.tenant, source)
            rows = [row for owner, row in other.rows if owner in (None, client.tenant) and row["k"] is not None]
            table.rows += [(client.tenant, table.full({"k": row["k"] + 20, "s": row["s"]})) for row in rows]
            table.version += bool(rows)
            table.check()
            return len(rows)

        if client.open and client.work is None:  # it reads before it writes
            self.note(client, [source])
        self.write(number, f"INSERT INTO {name} (k, s) SELECT k + 20, s FROM {source} WHERE k IS NOT NULL", change)

    @rule(number=CLIENTS, count=st.integers(1, 3))
    def publish(self, number: int, count: int) -> None:
        client = self.clients[number]

        def change(data: Database) -> int:
            data.events += [(client.tenant, len(data.events) + place) for place in range(1)]
            return count

        self.write(number, f"INSERT INTO ev VALUES {', '.join(f'({place})' for place in range(count))}", change)

    # --- tables ---

    @rule(number=CLIENTS, name=NAMES, kind=st.integers(0, 3), is_global=st.booleans())
    def make(self, number: int, name: str, kind: int, is_global: bool) -> None:
        client = self.clients[number]
        owner = None if is_global else client.tenant
        self.made += 1
        identity = self.made

        def change(data: Database) -> None:
            if (owner, name) in data.tables:
                raise Refused(EXISTS)
            key = ("k",) if kind & 1 else ()
            unique = [("a",)] if kind & 2 else []
            table = Table(owner, {"k": None, "a": None, "s": None}, key, unique)
            table.number = identity
            data.tables[owner, name] = table

        keys = (", PRIMARY KEY (k)" if kind & 1 else "") + (", UNIQUE (a)" if kind & 2 else "")
        word = "GLOBAL TABLE" if is_global else "MUTABLE TABLE"
        self.write(number, f"CREATE {word} {name} (k BIGINT, a BIGINT, s VARCHAR{keys})", change)

    @rule(number=CLIENTS, name=NAMES)
    def drop(self, number: int, name: str) -> None:
        client = self.clients[number]

        def change(data: Database) -> None:
            table = self.own(data, client, name)
            del data.tables[table.owner, name]

        self.write(number, f"DROP TABLE {name}", change)

    def own(self, data: Database, client: Client, name: str) -> Table:
        table = data.find(client.tenant, name)
        if table.owner != client.tenant:
            raise Refused(NOT_YOURS)
        return table

    @rule(number=CLIENTS, name=NAMES, default=st.none() | st.integers(0, 3), required=st.booleans())
    def add_column(self, number: int, name: str, default: int | None, required: bool) -> None:
        client = self.clients[number]

        def change(data: Database) -> None:
            table = self.own(data, client, name)
            if "x" in table.columns:
                raise Refused("42701")
            if required and default is None:
                raise Refused(NOT_NULL) if table.rows else Refused("never")
            table.columns["x"] = default
            for _, row in table.rows:
                row["x"] = default
            table.version += bool(table.rows and default is not None)

        if required and default is None and not self.rows_of(client, name):
            return  # then nothing is said about the rows to come, which this model does not know
        words = ("" if default is None else f" DEFAULT {default}") + (" NOT NULL" if required else "")
        self.write(number, f"ALTER TABLE {name} ADD COLUMN x BIGINT{words}", change)

    def rows_of(self, client: Client, name: str) -> list[Any]:
        try:
            return self.seen(client).find(client.tenant, name).rows
        except Refused:
            return []

    @rule(number=CLIENTS, name=NAMES)
    def drop_column(self, number: int, name: str) -> None:
        client = self.clients[number]

        def change(data: Database) -> None:
            table = self.own(data, client, name)
            if "x" not in table.columns:
                raise Refused("42703")
            del table.columns["x"]
            for _, row in table.rows:
                del row["x"]

        self.write(number, f"ALTER TABLE {name} DROP COLUMN x", change)

    @rule(number=CLIENTS, name=NAMES, unique=st.booleans())
    def index(self, number: int, name: str, unique: bool) -> None:
        client = self.clients[number]

        def change(data: Database) -> None:
            table = self.own(data, client, name)
            if any(other.indexed and other.owner == table.owner for other in data.tables.values()):
                raise Refused(EXISTS)
            table.indexed = True
            if unique:
                table.unique.append(("s",))
                table.check()

        word = "UNIQUE INDEX" if unique else "INDEX"
        self.write(number, f"CREATE {word} by_s ON {name} (s)", change)

    # --- reading ---

    @rule(number=CLIENTS, name=NAMES, where=st.sampled_from(list(CONDITIONS)), push=st.booleans())
    def select(self, number: int, name: str, where: str, push: bool) -> None:
        client = self.clients[number]
        client.connection.execute(f"SET jammi.pushdown = {'on' if push else 'off'}")
        text = f"SELECT * FROM {name} WHERE {where}"
        try:
            table = self.seen(client).find(client.tenant, name)
        except Refused as refused:
            self.refused(client, text, refused.states)
            return
        cursor = client.connection.execute(text)
        assert [column[0] for column in cursor.description] == list(table.columns)
        rows = [tuple(row.values()) for row in self.visible(client, table) if CONDITIONS[where](row)]
        assert sorted(map(tuple, cursor.fetchall()), key=repr) == sorted(rows, key=repr)
        count = client.connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        assert count == len(self.visible(client, table))
        self.note(client, [name])

    @rule(number=st.integers(0, 4))
    def reconnect(self, number: int) -> None:
        """A session ends, by being closed or forgotten, and undoes what is open."""
        client = self.clients[number]
        if number % 2:
            client.connection.close()
        client.connection = None
        client.connection = self.engines[client.engine].session(client.tenant)
        client.open, client.work, client.savepoints, client.read = False, None, [], {}

    @invariant()
    def everybody_sees_what_is_committed(self) -> None:
        self.steps += 1
        for client in {id(one): one for one in (self.clients[self.steps % 5], self.holder()) if one}.values():
            if client.open and client.work is None:
                continue  # it would note what it reads
            data = self.seen(client)
            for name in ("t", "u"):
                try:
                    table = data.find(client.tenant, name)
                except Refused:
                    self.refused(client, f"SELECT * FROM {name}", {UNKNOWN})
                    continue
                found = client.connection.execute(f"SELECT * FROM {name}").fetchall()
                rows = [tuple(row.values()) for row in self.visible(client, table)]
                assert sorted(map(tuple, found), key=repr) == sorted(rows, key=repr), (client, name)
        events = self.clients[0].connection if not (self.clients[0].open and self.clients[0].work is None) else None
        if events is not None:
            found = events.execute("SELECT DISTINCT _offset FROM ev ORDER BY 1").fetchall()
            expected = [place for place, (owner, _) in enumerate(self.seen(self.clients[0]).events) if owner is None]
            assert [row[0] for row in found] == expected


TestTablesAgainstLists = TablesAgainstLists.TestCase
TestTablesAgainstLists.settings = settings(
    max_examples=500 if THOROUGH else 12, stateful_step_count=50 if THOROUGH else 30
)
