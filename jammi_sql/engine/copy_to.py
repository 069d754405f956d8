"""COPY ... TO, which is DataFusion's, and what it leaves behind when it fails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

__all__ = ["whole_or_nothing"]


@contextmanager
def whole_or_nothing(plan: Any) -> Iterator[None]:
    """Around the run of a ``CopyTo`` plan: DataFusion finishes its files also where the query fails, and they look whole.

    New files are removed then, and a file that was there is as it was. In an object store they stay.
    """
    path = _local(plan.output_url())
    if path is None:
        yield
        return
    before, folders = _below(path)
    kept = _second_name(path) if path in before else None
    try:
        yield
    except BaseException:
        if kept is not None:
            os.replace(kept, path)
        now, now_folders = _below(path)
        for file in now - before:
            with suppress(FileNotFoundError):
                os.unlink(file)
        for folder in sorted(now_folders - folders, reverse=True):  # those in a folder before it
            with suppress(OSError):
                os.rmdir(folder)
        raise
    if kept is not None:
        os.unlink(kept)


def _local(url: str) -> str | None:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return os.path.abspath(url)
    return os.path.abspath(unquote("/" + rest.partition("/")[2])) if scheme == "file" else None


def _second_name(path: str) -> str | None:
    """Another name for a file, which it keeps when a new one takes its place; ``None`` where the file system has none."""
    name = f"{path}.{secrets.token_hex(4)}.kept"
    try:
        os.link(path, name)
    except OSError:
        return None
    return name


def _below(path: str) -> tuple[set[str], set[str]]:
    """The files and folders at and below a path."""
    if os.path.isfile(path):
        return {path}, set()
    files: set[str] = set()
    folders: set[str] = set()
    for folder, _, names in os.walk(path):
        folders.add(folder)
        files.update(os.path.join(folder, name) for name in names)
    return files, folders
