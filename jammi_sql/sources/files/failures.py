"""Errors of files that cannot be found or read."""

from __future__ import annotations

from ...errors import Error, OperationalError

__all__ = ["missing", "unreadable"]


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
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError) or "Permission denied" in said:
        return OperationalError(
            f"{location} may not be read", sqlstate="42501", hint="check who may read the file and its folder"
        )
    return OperationalError(
        f"{location} cannot be read: {said}", sqlstate="58030", hint="see that it is there, whole, and of its format"
    )
