"""One batch as one Arrow IPC message, and one schema as another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import xxhash

from ..errors import DataCorrupted
from .batches import required_columns

__all__ = ["Codec", "checksum", "decode_schema", "encode_schema", "header_seed"]


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """Encodes and decodes batches of one schema.

    A payload is the record batch message alone, since the schema is kept once per version. A schema with
    dictionaries is the exception: their values travel in messages of their own, so its payload is a whole stream.
    ``required``: as ``conform`` takes them.
    """

    schema: pa.Schema
    streamed: bool
    required: tuple[int, ...]

    @classmethod
    def of(cls, schema: pa.Schema) -> Codec:
        """The codec of ``schema``."""
        return cls(schema, any(_has_dictionary(field.type) for field in schema), required_columns(schema))

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer:
        """The payload of ``batch``, whose schema must be this one."""
        if not self.streamed:
            return batch.serialize()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.schema) as writer:
            writer.write_batch(batch)
        return sink.getvalue()

    def decode(self, payload: pa.Buffer) -> pa.RecordBatch:
        """The batch in ``payload``, sharing its memory. Raises ``pa.ArrowInvalid`` or ``OSError`` on damage."""
        if not self.streamed:
            return pa.ipc.read_record_batch(payload, self.schema)
        with pa.ipc.open_stream(payload) as reader:
            return reader.read_next_batch()


def _has_dictionary(data_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(data_type):
        return True
    return any(_has_dictionary(data_type.field(index).type) for index in range(data_type.num_fields))


@lru_cache(maxsize=4096)
def header_seed(tenant: str, version: int, row_count: int) -> int:
    """The part of a batch's checksum that covers its header, so that a changed tenant is noticed too."""
    return xxhash.xxh3_64_intdigest(f"{tenant}|{version}|{row_count}".encode())


def checksum(payload: pa.Buffer | bytes, seed: int = 0) -> int:
    """XXH3 of ``payload``, 63 bits so that every store holds it as a signed integer."""
    return xxhash.xxh3_64_intdigest(payload, seed) >> 1


def encode_schema(schema: pa.Schema) -> bytes:
    """The schema as an IPC message, metadata (column comments) included."""
    return schema.serialize().to_pybytes()


def decode_schema(data: bytes, expected_checksum: int, what: str) -> pa.Schema:
    """The schema in ``data``; ``what`` names its owner in the error ``DataCorrupted``."""
    if checksum(data) != expected_checksum:
        raise DataCorrupted(f"the stored schema of {what} fails its checksum", hint="restore the store from a backup")
    return pa.ipc.read_schema(pa.py_buffer(data))
