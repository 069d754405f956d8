"""The streams of topics on the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from ...topics.definition import TopicDefinition, TopicId
from .complaints import Complaints
from .stream_options import StreamOptions

__all__ = ["Names", "Streams"]

_TAKEN: Final = 10058
"""The server's code for a stream that is there with another configuration."""


class Names:
    """What streams and subjects are called; a topic's identity is in it, so no two stores share one."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def stream(self, topic: TopicId) -> str:
        """The stream of a topic."""
        return f"{self.prefix}-{topic}"

    def subject(self, topic: TopicId) -> str:
        """The subject of its messages."""
        return f"{self.prefix}.{topic}"


class Streams:
    """Makes, changes and deletes streams over one connection. Raises what nats-py raises."""

    def __init__(self, jetstream: JetStreamContext, names: Names, complaints: Complaints) -> None:
        self._jetstream = jetstream
        self._names = names
        self._complaints = complaints

    async def ensure(self, topic: TopicDefinition) -> None:
        """Have a stream for ``topic``, as its options say. What they do not mention stays as it is on the server."""
        options, wrong = StreamOptions.sound(topic.broker_metadata)
        for error in wrong:
            self._complaints.say(
                ("option", topic.id, error.message), f"topic {topic.name}: {error.message}; it is left out"
            )
        config = StreamConfig(
            name=self._names.stream(topic.id),
            description=f"Jammi SQL topic {topic.name}"[:1024],
            subjects=[self._names.subject(topic.id)],
            max_consumers=-1,
        ).evolve(**_typed(options.complete))
        try:
            await self._jetstream.add_stream(config)
        except APIError as error:
            if error.err_code != _TAKEN:
                raise
            there = (await self._jetstream.stream_info(self._names.stream(topic.id))).config
            wanted = there.evolve(**_typed(options.wanted))
            if wanted != there:
                await self._jetstream.update_stream(wanted)

    async def delete(self, topic: TopicId) -> None:
        """Delete the stream of a topic that is gone; again is a no-op."""
        await _unless_missing(lambda: self._jetstream.delete_stream(self._names.stream(topic)))


def _typed(options: dict[str, object]) -> dict[str, object]:
    """Options with nats-py's own kinds of values, so that they can be compared with the server's."""
    kinds = {"storage": StorageType, "retention": RetentionPolicy}
    return {name: kinds[name](value) if name in kinds else value for name, value in options.items()}


async def _unless_missing(call: Callable[[], Awaitable[object]]) -> None:
    try:
        await call()
    except NotFoundError:
        pass
