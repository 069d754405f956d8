"""Reads the arguments of ``remote_query(...)``."""

from __future__ import annotations

from .arguments import CallTokens
from .rewriting import Rewriting
from .statements import RemoteCall

__all__ = ["read_remote_call"]


def read_remote_call(relation: str, call: CallTokens, rewriting: Rewriting) -> RemoteCall:
    """The call, with ``relation`` in its place."""
    if len(call.arguments) != 2:
        raise call.error("remote_query takes the name of a source and a query", call.word)
    source, text = (rewriting.fragment(argument[0].start, argument[-1].end) for argument in call.arguments)
    return RemoteCall(relation, source, text, call.word.start)
