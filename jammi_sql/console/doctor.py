"""``jammi-sql doctor``: what is wrong with a store, and what to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidParameter
from .narration import say
from .target import target

if TYPE_CHECKING:
    from ..doctor import Finding, Level

# What looks at a store is imported by the function that runs it: --help answers at once.
# ruff: noqa: PLC0415

__all__ = ["doctor"]

_FINE, _PROBLEM, _USAGE = 0, 1, 2


def doctor(arguments: Sequence[str]) -> int:
    """Run the command; 0 when there are at most warnings, 1 when there is a problem, 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="jammi-sql doctor",
        description="Check a store, its broker and this machine, and say what to do. Nothing is changed.",
        epilog="Exit code: 0 all is fine, or there are only warnings, 1 there is a problem, 2 wrong usage.",
    )
    parser.add_argument("target", type=target, metavar="TARGET", help="the folder of a store, or postgresql://...")
    parser.add_argument("--broker", metavar="URL", help="the broker that is used with it: nats://...")
    parser.add_argument("--schema", help="of the store in a PostgreSQL database (default: that of the URL, else jammi)")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="of the report (default: table)")
    options = parser.parse_args(list(arguments))
    from ..doctor import diagnose

    try:
        findings = diagnose(options.target, options.broker, schema=options.schema)
        return _as_json(list(findings)) if options.format == "json" else _as_table(findings)
    except InvalidParameter as error:
        say(f"jammi-sql doctor: {error.message}; {error.hint}")
        return _USAGE


def _as_json(findings: Sequence[Finding]) -> int:
    import orjson

    rows = [
        {"level": each.level.value, "check": each.check, "message": each.message, "advice": each.advice or None}
        for each in findings
    ]
    sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
    return _code(each.level for each in findings)


def _as_table(findings: Iterable[Finding]) -> int:
    """Line by line as it is found: a server that does not answer takes its time."""
    levels: list[Level] = []
    for each in findings:
        levels.append(each.level)
        print(f"{each.level.value:<8} {each.check:<18} {each.message}", flush=True)
        if each.advice:
            print(f"{'':<8} {'':<18} -> {each.advice}", flush=True)
    return _code(levels)


def _code(levels: Iterable[Level]) -> int:
    from ..doctor import Level

    return _PROBLEM if Level.PROBLEM in set(levels) else _FINE
