"""Object stores: pyarrow's file system, which lists, and DataFusion's store, which reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pyarrow.fs as pafs
from datafusion.object_store import AmazonS3, GoogleCloud, Http, MicrosoftAzure

from ...errors import FeatureNotSupported, InvalidParameter
from .options import FileOptions
from .references import follow

__all__ = [
    "BUCKETS",
    "SECONDS",
    "Bucket",
    "anonymous_store",
    "check_endpoint",
    "has_bucket_in_path",
    "web_store",
]

SECONDS: Final = 30.0
"""How long a request to a remote place may take."""


class Bucket(NamedTuple):
    """How the buckets of one cloud are reached."""

    system: Callable[[str, FileOptions], pafs.FileSystem]
    store: Callable[[str, FileOptions], Any]


def check_endpoint(options: FileOptions) -> None:
    """``InvalidParameter`` for one without TLS, unless that is allowed; ``FeatureNotSupported`` without credentials too."""
    plain = (options.endpoint or "").startswith("http://")
    if plain and not options.allow_http:
        raise InvalidParameter("the endpoint is not protected", hint="use https://, or the option allow_http true")
    if plain and options.anonymous:
        raise FeatureNotSupported(
            "a bucket without credentials is read over https alone", hint="use https://, or give credentials"
        )


def _endpoint(options: FileOptions) -> tuple[str, str] | None:
    """Scheme and host of the endpoint."""
    endpoint = options.endpoint or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return None
    scheme, separator, host = endpoint.partition("://")
    return (scheme, host) if separator else ("http" if options.allow_http else "https", endpoint)


def _region(bucket: str, options: FileOptions) -> str:
    known = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if known:
        return known
    return "us-east-1" if _endpoint(options) is not None else str(pafs.resolve_s3_region(bucket))


def _keys(options: FileOptions) -> tuple[str | None, str | None, str | None]:
    """Access key, secret and session token that the options lead to."""
    return (
        follow("access_key_id", options.access_key_id),
        follow("secret_access_key", options.secret_access_key),
        follow("session_token", options.session_token),
    )


def _s3_system(bucket: str, options: FileOptions) -> pafs.FileSystem:
    key, secret, token = _keys(options)
    endpoint = _endpoint(options)
    return pafs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        session_token=token,
        anonymous=options.anonymous,
        region=_region(bucket, options),
        scheme="http" if endpoint is not None and endpoint[0] == "http" else "https",
        endpoint_override=None if endpoint is None else endpoint[1],
        connect_timeout=SECONDS / 3,
        request_timeout=SECONDS,
    )


def _s3_store(bucket: str, options: FileOptions) -> Any:
    key, secret, token = _keys(options)
    endpoint = _endpoint(options)
    return AmazonS3(
        bucket_name=bucket,
        region=_region(bucket, options),
        access_key_id=key,
        secret_access_key=secret,
        session_token=token,
        endpoint=None if endpoint is None else "://".join(endpoint),
        allow_http=endpoint is not None and endpoint[0] == "http",
    )


def _gs_system(bucket: str, options: FileOptions) -> pafs.FileSystem:
    endpoint = None if options.endpoint is None else _endpoint(options)
    return pafs.GcsFileSystem(
        anonymous=options.anonymous,
        scheme="https" if endpoint is None else endpoint[0],
        endpoint_override=None if endpoint is None else endpoint[1],
    )


def _gs_store(bucket: str, options: FileOptions) -> Any:
    return GoogleCloud(bucket_name=bucket, service_account_path=os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"))


def _az_system(bucket: str, options: FileOptions) -> pafs.FileSystem:
    account, key, token = _keys(options)
    name = account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    return pafs.AzureFileSystem(name, account_key=key or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"), sas_token=token)


def _az_store(bucket: str, options: FileOptions) -> Any:
    account, key, token = _keys(options)
    pairs = None if token is None else [(k, v) for k, _, v in (pair.partition("=") for pair in token.split("&"))]
    return MicrosoftAzure(container_name=bucket, account=account, access_key=key, sas_query_pairs=pairs)


def has_bucket_in_path(scheme: str, options: FileOptions) -> bool:
    """Whether the URL of a file that is read without credentials has the bucket's name in its path."""
    return scheme != "s3" or _endpoint(options) is not None


def anonymous_store(scheme: str, bucket: str, options: FileOptions) -> Any:
    """DataFusion's access to a public bucket: it is read as a web site is, since its stores would look for credentials."""
    if scheme == "gs":
        return web_store(options.endpoint or "https://storage.googleapis.com")
    if scheme == "az":
        account = follow("access_key_id", options.access_key_id) or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
        return web_store(options.endpoint or f"https://{account}.blob.core.windows.net")
    endpoint = _endpoint(options)
    return web_store(
        f"https://{bucket}.s3.{_region(bucket, options)}.amazonaws.com" if endpoint is None else "://".join(endpoint)
    )


def web_store(origin: str) -> Any:
    """DataFusion's access to the files of a web site."""
    return Http(origin)


BUCKETS: Final = MappingProxyType(
    {"s3": Bucket(_s3_system, _s3_store), "gs": Bucket(_gs_system, _gs_store), "az": Bucket(_az_system, _az_store)}
)
