"""The command ``jammi-sql``: arguments, input, output and exit code."""

from __future__ import annotations

import argparse
import gc
import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import __version__, connect
from . import frames
from .format_names import FORMAT_NAMES
from .narration import say
from .script import Script
from .target import DEFAULT_TARGET, target

if TYPE_CHECKING:
    from ..dbapi import Connection
    from .runner import Runner

# What needs the engine is imported by the function that runs it: --help and wrong usage answer at once.
# ruff: noqa: PLC0415

__all__ = ["main"]

LEFT_OPEN = "the transaction was left open, so it was undone: end it with COMMIT"

_OK, _SQL_ERROR, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_STDIN = "<stdin>"
_BINARY = frozenset({"parquet", "arrow"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console and return its exit code: 0, 1 after an SQL error, 2 on wrong usage, 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        _open_what_is_closed()
        frames.leave_out()
        # A start makes a few hundred thousand objects that stay: to look through them for garbage is a tenth of it.
        gc.disable()
    options = None
    try:
        if given[:1] == ["serve"]:
            from .serve import serve

            return serve(given[1:])
        if given[:1] == ["compact"]:
            from .compact import compact

            return compact(given[1:])
        if given[:1] == ["doctor"]:
            from .doctor import doctor

            return doctor(given[1:])
        options = _parser().parse_args(given)  # leaves with 2 by itself
        return _run(options)
    except _UsageError as error:
        say(f"jammi-sql: {error}")
        return _USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # whoever reads has seen enough
        return _OK
    except OSError as error:
        say(f"jammi-sql: {error.filename or 'the results cannot be written'}: {error.strerror}")
        if options is None or options.output is None:
            _give_up_output()
        return _SQL_ERROR


def _give_up_output() -> None:
    """Python would complain again when it flushes standard output at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """Who starts this may have closed a standard stream. The next file would take its number, and get what is said."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False, encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False, encoding="utf-8")


class _UsageError(Exception):
    """The arguments ask for what cannot be."""


class _Append(argparse.Action):
    """Collects -c and -f in the order in which they are written."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        namespace.inputs.append((self.const, values))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jammi-sql",
        description="SQL over durable event topics.",
        epilog="Exit code: 0 all went well, 1 an SQL error, 2 wrong usage, 130 interrupted. Data goes to standard "
        "output, everything else to standard error. jammi-sql compact moves logs into segments, jammi-sql doctor "
        "says what is wrong with a store, jammi-sql serve is the server.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        type=target,
        default=DEFAULT_TARGET,
        metavar="TARGET",
        help=f"a folder (default: {DEFAULT_TARGET})",
    )
    parser.add_argument(
        "-c", action=_Append, const="sql", dest="inputs", default=[], metavar="SQL", help="run and exit"
    )
    parser.add_argument(
        "-f",
        action=_Append,
        const="file",
        dest="inputs",
        metavar="FILE",
        help="run a file and exit; - is standard input",
    )
    parser.add_argument("--tenant", metavar="UUID", help="speak for a tenant")
    parser.add_argument("--format", choices=FORMAT_NAMES, default="table", help="of results (default: table)")
    parser.add_argument("--output", metavar="FILE", help="write results to a file instead of standard output")
    parser.add_argument("--read-only", action="store_true", help="refuse to write")
    parser.add_argument("--version", action="version", version=f"jammi-sql {__version__}")
    return parser


def _run(options: argparse.Namespace) -> int:
    from ..errors import Error, InvalidParameter
    from ..tenancy import TenantId

    scripts = _scripts(options.inputs)
    if options.format in _BINARY and options.output is None and sys.stdout.isatty():
        raise _UsageError(f"--format {options.format} is not for a terminal: give --output FILE, or a pipe")
    try:
        tenant = TenantId.optional(options.tenant)
    except InvalidParameter as error:
        raise _UsageError(f"--tenant: {error.message}") from error
    from .complaint import complaint
    from .formats import FORMATS, on_terminal
    from .runner import Runner

    with _output(options.output) as out:
        try:
            connection = connect(options.target, tenant=tenant, read_only=options.read_only)
        except Error as error:
            say(complaint(error, ""))
            return _SQL_ERROR
        gc.freeze()
        gc.enable()
        with connection:
            # What the statements were read from has no data left, and a person would wait for the end of them.
            free = scripts is not None and not any(script.name == _STDIN for script in scripts)
            if scripts is None:
                from .shell import interact
                from .viewer import Viewer

                interact(Viewer(connection, out, options.format, to_file=options.output is not None))
                if connection.in_transaction:
                    say(LEFT_OPEN)
                return _OK
            seen = options.output is None and sys.stdout.isatty()
            runner = Runner(
                connection,
                on_terminal(options.format, out) if seen else FORMATS[options.format](out),
                sys.stdin.buffer if free else None,
                to_file=options.output is not None,
            )
            return _run_all(runner, connection, scripts)


def _run_all(runner: Runner, connection: Connection, scripts: Sequence[Script]) -> int:
    for script in scripts:
        if not runner.run(script):
            return _SQL_ERROR
    if connection.in_transaction:
        say(LEFT_OPEN)
        return _SQL_ERROR
    return _OK


def _scripts(inputs: Sequence[tuple[str, str]]) -> list[Script] | None:
    """What to run, or ``None`` to ask a person."""
    if not inputs:
        return None if sys.stdin.isatty() else [_standard_input()]
    return [Script(value) if kind == "sql" else _file(value) for kind, value in inputs]


def _file(path: str) -> Script:
    if path == "-":
        return _standard_input()
    try:
        with open(path, encoding="utf-8-sig") as file:
            return Script(file.read(), path)
    except OSError as error:
        raise _UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _UsageError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


def _standard_input() -> Script:
    try:
        return Script(sys.stdin.buffer.read().decode("utf-8-sig"), _STDIN)
    except UnicodeDecodeError as error:
        raise _UsageError(f"standard input is not UTF-8: {error.reason} at byte {error.start}") from error


@contextmanager
def _output(path: str | None) -> Iterator[Any]:
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        file = io.BufferedWriter(_Output(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), "w"))
    except OSError as error:
        raise _UsageError(f"{path}: {error.strerror}") from error
    with file:
        yield file


class _Output(io.FileIO):
    """A file that is emptied when the first result is written, not before: a wrong statement leaves it as it was."""

    _begun = False

    def write(self, data: Any) -> int:
        if not self._begun:
            self._begun = True
            if stat.S_ISREG(os.fstat(self.fileno()).st_mode):  # not a device or a named pipe
                self.truncate(0)
        return super().write(data)
