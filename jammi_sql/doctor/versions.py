"""Versions of what is installed here."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Final

from .. import __version__
from .finding import Finding, ok, problem, warning

__all__ = ["installed_versions"]

_REQUIREMENT: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?P<bounds>[^;]*)")
_BOUND: Final = re.compile(r"(>=|<)\s*([0-9.]+)")
_SHOWN: Final = ("datafusion", "pyarrow", "adbc-driver-manager")


def installed_versions(
    needed: Sequence[str] = (), version_of: Callable[[str], str] = metadata.version
) -> Iterator[Finding]:
    """Python and the libraries, against the bounds that this package declares.

    ``needed`` are the optional ones that the target cannot do without, ``version_of`` is asked for the others.
    """
    shown = [f"jammi-sql {__version__}", f"Python {platform.python_version()}"]
    complaints: list[Finding] = []
    for name, bounds in _declared():
        try:
            version = version_of(name)
        except metadata.PackageNotFoundError:
            if name in needed:
                complaints.append(problem(f"{name} is not installed", f"pip install '{name}{bounds}'"))
            continue
        if name in _SHOWN or name in needed:
            shown.append(f"{name} {version}")
        if not _within(version, bounds):
            complaints.append(
                warning(f"{name} {version} was not tried: {bounds} is wanted", f"pip install '{name}{bounds}'")
            )
    yield ok(", ".join(shown))
    yield from complaints


def _declared() -> Iterator[tuple[str, str]]:
    """Name and bounds of each requirement that a user has, optional ones included; those of developers left out."""
    for text in metadata.requires("jammi-sql") or ():
        if re.search(r"extra == ['\"](test|dev)['\"]", text):
            continue
        found = _REQUIREMENT.match(text)
        if found is not None and found["name"].lower() != "jammi-sql":
            yield (
                found["name"],
                ",".join(sorted(("".join(bound) for bound in _BOUND.findall(found["bounds"])), reverse=True)),
            )


def _within(version: str, bounds: str) -> bool:
    have = _numbers(version)
    for relation, limit in _BOUND.findall(bounds):
        if (have < _numbers(limit)) if relation == ">=" else (have >= _numbers(limit)):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with, without trailing zeros: 1.10.0rc1 is (1, 10)."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else [0]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
