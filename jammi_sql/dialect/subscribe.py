"""Reads the arguments of ``subscribe(...)``."""

from __future__ import annotations

from .arguments import CallTokens
from .rewriting import Rewriting
from .statements import Fragment, SubscribeCall

__all__ = ["read_subscribe"]

_OPTIONS = ("from", "until", "idle_timeout")


def read_subscribe(relation: str, call: CallTokens, rewriting: Rewriting) -> SubscribeCall:
    """The call, with ``relation`` in its place."""
    topic: Fragment | None = None
    options: dict[str, Fragment] = {}
    for argument in call.arguments:
        first = argument[0]
        if len(argument) > 1 and argument[1].text == "=>" and first.kind == "word":
            option = first.text.lower()
            if option not in _OPTIONS:
                raise call.error(f"subscribe has no option {first.text}", first)
            if option in options:
                raise call.error(f"subscribe has the option {option} twice", first)
            if not argument[2:]:
                raise call.error(f"the option {option} of subscribe has no value", argument[1])
            options[option] = rewriting.fragment(argument[2].start, argument[-1].end)
        elif topic is not None or options:
            raise call.error("subscribe takes one topic, and options by name after it", first)
        else:
            topic = rewriting.fragment(first.start, argument[-1].end)
    if topic is None:
        raise call.error("subscribe needs a topic as its first argument", call.word)
    return SubscribeCall(relation, topic, options, call.word.start)
