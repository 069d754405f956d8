"""Object stores: pyarrow's file system, which lists, and DataFusion's store, which reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pyarrow.fs as pafs
from datafusion.object_store import AmazonS3, GoogleCloud, Http, MicrosoftAzure

from ...errors import InvalidParameter
from .options import FileOptions
from .references import follow

__all__ = ["BUCKETS", "SECONDS", "Bucket", "check_endpoint", "web_store"]

SECONDS: Final = 30.0
"""How long a request to a remote place may take."""


class Bucket(NamedTuple):
    """How the buckets of one cloud are reached."""

    system: Callable[[str, FileOptions], pafs.FileSystem]
    store: Callable[[str, FileOptions], Any]


def check_endpoint(options: FileOptions) -> None:
    """``InvalidParameter`` for one without TLS, unless that is allowed."""
    if (options.endpoint or "").startswith("http://") and not options.allow_http:
        raise InvalidParameter("the endpoint is not protected", hint="use https://, or the option allow_http true")


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
        skip_signature=options.anonymous,
    )


def _gs_system(bucket: str, options: FileOptions) -> pafs.FileSystem:
    endpoint = None if options.endpoint is None else _endpoint(options)
    return pafs.GcsFileSystem(
        anonymous=options.anonymous,
        scheme="https" if endpoint is None else endpoint[0],
        endpoint_override=None if endpoint is None else endpoint[1],
    )


def _gs_store(bucket: str, options: FileOptions) -> Any:
    if options.anonymous:
        return web_store(options.endpoint or "https://storage.googleapis.com")
    return GoogleCloud(bucket_name=bucket, service_account_path=os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"))


def _az_system(bucket: str, options: FileOptions) -> pafs.FileSystem:
    account, key, token = _keys(options)
    name = account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    return pafs.AzureFileSystem(name, account_key=key or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"), sas_token=token)


def _az_store(bucket: str, options: FileOptions) -> Any:
    account, key, token = _keys(options)
    pairs = None if token is None else [(k, v) for k, _, v in (pair.partition("=") for pair in token.split("&"))]
    return MicrosoftAzure(container_name=bucket, account=account, access_key=key, sas_query_pairs=pairs)


def web_store(origin: str) -> Any:
    """DataFusion's access to the files of a web site."""
    return Http(origin)


BUCKETS: Final = MappingProxyType(
    {"s3": Bucket(_s3_system, _s3_store), "gs": Bucket(_gs_system, _gs_store), "az": Bucket(_az_system, _az_store)}
)
