"""Files in an object store or at a URL."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
from datafusion import SessionContext

from ...errors import Error, FeatureNotSupported
from .buckets import BUCKETS, SECONDS, anonymous_store, check_endpoint, has_bucket_in_path, web_store
from .failures import unreadable
from .options import FileOptions
from .places import Allowed, Found, is_hidden

__all__ = ["BucketFiles", "WebFile"]


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Errors of pyarrow's file systems as ours."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(location, error) from error


class _Remote:
    """What is reached through an object store of DataFusion's.

    It is known to a context under a name of its own: two attachments of one bucket may have other credentials, and nobody
    reads it by its URL with somebody else's.
    """

    is_local = False

    def __init__(self, scheme: str, make_store: Callable[[], Any]) -> None:
        self._scheme = scheme
        self._host = f"files-{secrets.token_hex(12)}"
        self._make_store = make_store
        self._store: Any = None
        self._reached: weakref.WeakSet[SessionContext] = weakref.WeakSet()
        self._lock = threading.Lock()

    def _address(self, path: str) -> str:
        return f"{self._scheme}://{self._host}/{quote(path)}"

    def reach(self, context: SessionContext) -> None:
        """Make the store known to ``context``, once."""
        with self._lock:
            if context in self._reached:
                return
            if self._store is None:
                self._store = self._make_store()
            context.register_object_store(f"{self._scheme}://", self._store, self._host)
            self._reached.add(context)


class BucketFiles(_Remote):
    """Files of a bucket of an object store."""

    def __init__(self, scheme: str, path: str, options: FileOptions, allowed: Allowed) -> None:
        self.path = path.rstrip("/")
        self.location = f"{scheme}://{self.path}"
        self._name = scheme
        self._bucket = path.partition("/")[0]
        self._options = options
        self._allowed = allowed
        self._made: pafs.FileSystem | None = None
        check_endpoint(options)
        if options.anonymous:
            super().__init__(scheme, lambda: anonymous_store(scheme, self._bucket, options))
        else:
            super().__init__(scheme, lambda: BUCKETS[scheme].store(self._bucket, options))
        self._whole_path = options.anonymous and has_bucket_in_path(scheme, options)

    def look(self, path: str) -> Found | None:
        self._allowed(self.display(path))
        with reading(self.display(path)):
            (info,) = self._system.get_file_info([path])
        if info.type == pafs.FileType.NotFound:
            return None
        return self._found(info)

    def children(self, folder: str) -> list[Found]:
        return self._listed(folder, recursive=False)

    def below(self, folder: str) -> list[Found]:
        return [found for found in self._listed(folder, recursive=True) if not found.is_folder]

    def _listed(self, folder: str, *, recursive: bool) -> list[Found]:
        self._allowed(self.display(folder))
        with reading(self.display(folder)):
            infos = self._system.get_file_info(pafs.FileSelector(folder, recursive=recursive))
        start = len(folder.rstrip("/")) + 1
        kept = [info for info in infos if not any(is_hidden(part) for part in info.path[start:].split("/"))]
        return sorted(self._found(info) for info in kept)

    def _found(self, info: pafs.FileInfo) -> Found:
        path = info.path.rstrip("/")
        key = path if self._whole_path else path.partition("/")[2]
        is_folder = info.type != pafs.FileType.File
        return Found(path, is_folder, info.size or 0, str(info.mtime_ns), self._address(key))

    def display(self, path: str) -> str:
        return f"{self._name}://{path}"

    @property
    def _system(self) -> pafs.FileSystem:
        if self._made is None:
            with reading(self.location):
                self._made = BUCKETS[self._name].system(self._bucket, self._options)
        return self._made


class WebFile(_Remote):
    """One file at a URL: the web has no folders that could be listed."""

    def __init__(self, uri: str, options: FileOptions, allowed: Allowed) -> None:
        parts = urlsplit(uri)
        if parts.scheme == "http":
            raise FeatureNotSupported("files are read over https, not http", hint="use https://")
        if parts.query or parts.fragment:
            raise FeatureNotSupported(
                "a URL of a file has no query", hint="give the plain URL, or read a bucket as s3:// with credentials"
            )
        self.location = self._uri = uri
        self.path = unquote(parts.path)
        self._allowed = allowed
        super().__init__(parts.scheme, lambda: web_store(f"{parts.scheme}://{parts.netloc}"))

    def look(self, path: str) -> Found | None:
        import urllib.error  # noqa: PLC0415 - with all of http and email: too much for a start that reads no URL
        import urllib.request  # noqa: PLC0415

        self._allowed(self.location)
        request = urllib.request.Request(self._uri, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                headers = answer.headers
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise unreadable(self.location, error) from error
        except (OSError, ValueError) as error:
            raise unreadable(self.location, error) from error
        state = f"{headers.get('ETag')} {headers.get('Last-Modified')}"
        size = headers.get("Content-Length")
        return Found(path, False, int(size) if size and size.isdigit() else 0, state, self._address(path.lstrip("/")))

    def children(self, folder: str) -> list[Found]:
        raise _no_listing(self.location)

    def below(self, folder: str) -> list[Found]:
        raise _no_listing(self.location)

    def display(self, path: str) -> str:
        return self.location


def _no_listing(location: str) -> Error:
    return FeatureNotSupported(
        f"{location} cannot be listed", hint="https:// gives single files: attach each by its URL"
    )
