"""Errors of files that cannot be found or read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ...errors import Error, OperationalError
from ...errors_datafusion import is_panic

__all__ = ["missing", "reading", "unreadable"]

# DataFusion calls a file that is no Arrow file a bug of its own.
_SELF_REPORT: Final = re.compile(
    r"DataFusion error: (Internal error: )?|\s*This issue was likely caused by a bug in .*"
)


def missing(location: str, what: str = "there is no") -> OperationalError:
    """58P01: nothing is there."""
    return OperationalError(
        f"{what} {location}", sqlstate="58P01", hint="check the path: it is one of the machine that runs the statement"
    )


def unreadable(location: str, error: BaseException) -> Error:
    """58030, or 42501 where it is a matter of rights; an error of ours as it is."""
    if isinstance(error, Error):
        return error
    if isinstance(error, FileNotFoundError):
        return missing(location)
    said = _SELF_REPORT.sub("", " ".join(str(error).split())) or type(error).__name__
    if isinstance(error, PermissionError) or "Permission denied" in said:
        return OperationalError(
            f"{location} may not be read", sqlstate="42501", hint="check who may read the file and its folder"
        )
    return OperationalError(
        f"{location} cannot be read: {said}", sqlstate="58030", hint="see that it is there, whole, and of its format"
    )


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Within, files are read: what goes wrong is what ``unreadable`` gives, a panic over a damaged file included."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or is_panic(error):
            raise unreadable(location, error) from error
        raise
