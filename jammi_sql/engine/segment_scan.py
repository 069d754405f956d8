"""DataFusion's own Parquet scan of a topic's segments, beside the scan of what is in none."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from datafusion import DataFrame, LogicalPlan, SessionContext, col, lit
from datafusion.object_store import AmazonS3, GoogleCloud, MicrosoftAzure

from ..sources.files.paths import with_paths
from ..topics.catalog import CatalogTopic
from ..topics.relation import OFFSET, relation_schema
from ..topics.remembered import Remembered
from ..topics.segments.segment import Segment
from ..topics.segments.storage import SegmentStorage
from .text_views import with_views

__all__ = ["SegmentScans"]

_TEMPLATES = 1024
_ANY_FILE = "file:///segment.parquet"


class SegmentScans:
    """Makes scans of segment files.

    DataFusion's Python interface takes one path per scan. Its plans in protobuf form take many, so the plan of one file
    that need not exist is made once per schema, and the paths are put into its bytes.
    """

    def __init__(self, storage: SegmentStorage) -> None:
        self._storage = storage
        self._templates: Remembered[tuple[int, int, bool], bytes | None] = Remembered(_TEMPLATES)
        self._reached: weakref.WeakSet[SessionContext] = weakref.WeakSet()

    def frame(
        self,
        context: SessionContext,
        topic: CatalogTopic,
        segments: Sequence[Segment],
        start: int,
        end: int,
        *,
        views: bool = False,
    ) -> DataFrame | None:
        """The rows of ``segments`` with offsets in ``[start, end)``, of all tenants, unordered.

        ``None`` where DataFusion's scan would not have exactly the topic's types.
        With ``views`` its text comes as views. No filter by tenant would do here:
        DataFusion evaluates those of the statement beside it, with errors that quote values, and EXPLAIN VERBOSE shows
        the least and the greatest value of a file.
        """
        template = self._template(topic, views)
        if template is None:
            return None
        self.reach(context)
        paths = [self._storage.file_url(segment.path) for segment in segments]
        plan = LogicalPlan.from_bytes(context, with_paths(template, paths))
        frame = context.create_dataframe_from_logical_plan(plan)
        if segments[0].first < start:
            frame = frame.filter(col(OFFSET) >= lit(start))
        if segments[-1].end > end:
            frame = frame.filter(col(OFFSET) < lit(end))
        return frame

    def _template(self, topic: CatalogTopic, views: bool) -> bytes | None:
        key = (topic.number, topic.version, views)
        known = self._templates.get(key)
        if known is None:
            schema = relation_schema(topic.codec.schema)
            known = self._templates[key] = _planned(with_views(schema) if views else schema)
        return known or None

    def reach(self, context: SessionContext) -> None:
        """Tell DataFusion how to reach the object store that segments, and copies beside them, are in."""
        if self._storage.local or context in self._reached:
            return
        parts = urlsplit(self._storage.url)
        store = _object_store(parts.scheme, parts.netloc, self._storage.options)
        context.register_object_store(f"{parts.scheme}://", store, parts.netloc)
        self._reached.add(context)


def _planned(schema: pa.Schema) -> bytes:
    """The bytes of a plan that scans one file; none where it would give other types than ``schema``.

    On a thread of its own: this is asked for while DataFusion plans, where it must not be called.
    """
    made: list[bytes] = []

    def make() -> None:
        scratch = SessionContext()
        try:
            plan = scratch.read_parquet(_ANY_FILE, schema=schema).logical_plan().to_bytes(scratch)
            again = scratch.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(scratch, plan)).schema()
        except Exception:  # a type that its protobuf form lacks
            return
        if again.equals(schema):
            made.append(plan)

    thread = threading.Thread(target=make, name="jammi-plan")
    thread.start()
    thread.join()
    return made[0] if made else b""


# --- object stores -------------------------------------------------------------------------------


def _object_store(scheme: str, bucket: str, options: dict[str, str]) -> Any:
    """DataFusion's access to a bucket: credentials from the environment, as pyarrow takes them."""
    if scheme == "s3":
        endpoint = options.get("endpoint_override") or os.environ.get("AWS_ENDPOINT_URL")
        plain = options.get("scheme") == "http" or (endpoint or "").startswith("http://")
        if endpoint is not None and "://" not in endpoint:
            endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
        return AmazonS3(
            bucket_name=bucket,
            region=options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            access_key_id=os.environ.get("AWS_ACCESS_KEY_ID"),
            secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
            session_token=os.environ.get("AWS_SESSION_TOKEN"),
            endpoint=endpoint,
            allow_http=plain,
        )
    if scheme == "gs":
        return GoogleCloud(bucket_name=bucket)
    container, _, host = bucket.partition("@")
    account = host.split(".")[0] or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    return MicrosoftAzure(container_name=container, account=account)
