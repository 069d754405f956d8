"""Which place a URI means."""

from __future__ import annotations

import os
from urllib.parse import unquote

from ...errors import FeatureNotSupported, InvalidParameter
from .buckets import BUCKETS
from .local import LocalFiles
from .options import FileOptions
from .places import Allowed, Place
from .remote import BucketFiles, WebFile

__all__ = ["place_of"]


def place_of(uri: str, options: FileOptions, allowed: Allowed) -> Place:
    """The place of a URI or a path; nothing is looked up yet. ``InvalidParameter`` and ``FeatureNotSupported`` for one
    that cannot be."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return LocalFiles(os.path.abspath(uri), allowed)
    if scheme == "file":
        return LocalFiles(os.path.abspath(unquote("/" + uri[7:].partition("/")[2])), allowed)
    authority = uri[len(scheme) + 3 :].partition("/")[0]
    if "@" in authority:
        raise InvalidParameter(
            "a location of files holds no credentials", hint="give them as options, secret_access_key 'env:NAME'"
        )
    if not authority:
        raise InvalidParameter(f"{uri} names no bucket or host", hint=f"write {scheme}://name/path")
    if scheme in ("https", "http"):
        return WebFile(uri, options, allowed)
    if scheme in BUCKETS:
        return BucketFiles(scheme, uri[len(scheme) + 3 :], options, allowed)
    raise FeatureNotSupported(
        f"files cannot be read from {scheme}://", hint="a path, file://, s3://, gs://, az:// or https://"
    )
