"""The broker between processes: NATS JetStream."""

from __future__ import annotations

import ssl
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import FeatureNotSupported, InvalidParameter
from ...topics.definition import TopicDefinition, TopicId
from ...topics.delivery import BrokerSubscription, ConsumerOffsetSnapshot, DeliveredBatch
from ...topics.offset import Offset
from ...topics.predicate import Predicate
from ..memory import InMemoryBroker
from .access import Access
from .stream_options import StreamOptions

if TYPE_CHECKING:
    from .link import Link

__all__ = ["JetStreamBroker"]

_HEALTHY = 0.25
_UNHEALTHY = 0.01
_HICCUP = 0.5
"""Seconds for which a consumer or the server may be away without the engine asking the store more often."""
_LIST_TIMEOUT = 5.0
_SHORTEST_HEARTBEAT = 0.1
"""What the server takes at least."""


class JetStreamBroker(InMemoryBroker):
    """Hands batches to the subscriptions of this process at once, and to those of other processes through JetStream.

    Each topic has a stream; while somebody here subscribes to it, this process has one consumer on it, which all its
    subscriptions share. Whatever is wrong with the server costs latency alone: a publish never waits for it, and what
    it does not deliver is read from the log. It connects in the background and reconnects for ever; the first failure
    is logged as a warning.

    ``servers`` are URLs, in one text separated by commas or as a sequence: ``nats://host:4222``,
    ``nats://user:password@host``, ``nats://token@host``, ``tls://host`` to insist on TLS. ``user`` and ``password``,
    ``token``, ``credentials`` (a file with a JWT and its seed), ``nkey`` (a file with a seed) get in; ``tls`` is a
    context, or ``tls_ca``, ``tls_cert``, ``tls_key`` are PEM files. ``prefix`` begins the names of streams and
    subjects: stores that are copies of each other need different ones. ``inbox_prefix`` begins the subjects of answers.

    ``capacity`` is how many batches slow subscriptions of a topic share, ``queue`` and ``queue_bytes`` how many batches
    and bytes wait for the server before the oldest are left out. Seconds: ``heartbeat`` between signs of life,
    ``connect_timeout``, ``max_backoff`` between two attempts to connect, ``close_timeout`` for what waits at ``close``.

    Raises ``InvalidParameter`` for a wrong URL or option, ``FeatureNotSupported`` without nats-py.
    """

    driver_kind = "jetstream"

    def __init__(
        self,
        servers: str | Sequence[str] = "nats://127.0.0.1:4222",
        *,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: str | None = None,
        nkey: str | None = None,
        tls: ssl.SSLContext | None = None,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        tls_hostname: str | None = None,
        tls_first: bool | None = None,
        prefix: str | None = None,
        inbox_prefix: str | None = None,
        capacity: int = 1024,
        queue: int = 8192,
        queue_bytes: int = 64 << 20,
        heartbeat: float = 2.0,
        connect_timeout: float = 2.0,
        max_backoff: float = 2.0,
        close_timeout: float = 2.0,
    ) -> None:
        super().__init__(capacity)
        seconds = {
            "heartbeat": heartbeat,
            "connect_timeout": connect_timeout,
            "max_backoff": max_backoff,
            "close_timeout": close_timeout,
        }
        for name, value in {"queue": queue, "queue_bytes": queue_bytes, **seconds}.items():
            if not value > 0:
                raise InvalidParameter(f"{name} cannot be {value!r}", hint="it is a positive number")
        if heartbeat < _SHORTEST_HEARTBEAT:
            raise InvalidParameter(f"heartbeat cannot be {heartbeat!r}", hint="the server takes 0.1 seconds or more")
        access = Access.of(
            servers,
            {
                "user": user, "password": password, "token": token, "credentials": credentials, "nkey": nkey,
                "tls": tls, "tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key, "tls_hostname": tls_hostname,
                "tls_first": tls_first, "prefix": prefix, "inbox_prefix": inbox_prefix,
            },
        )  # fmt: skip
        try:
            from .link import Link  # noqa: PLC0415 - nats-py is an extra
            from .session import Timing  # noqa: PLC0415

            if access.credentials or access.nkey:
                import_module("nkeys")
        except ModuleNotFoundError as error:
            if error.name not in ("nats", "nkeys"):
                raise
            raise FeatureNotSupported(
                f"the JetStream broker needs the package {'nats-py' if error.name == 'nats' else 'nkeys'}",
                hint="pip install 'jammi-sql[nats]'",
            ) from None
        self.location = access.location
        """Where the servers are, for messages: never with credentials."""
        self.origin = uuid.uuid4().hex
        """Which broker published a message; its consumers are called so too."""
        self._link: Link = Link(access, Timing(**seconds), self.origin, (queue, queue_bytes), self._tails.get)
        self._on_close = partial(self._link.call, self._link.session.look)
        self._end = weakref.finalize(self, self._link.stop, wait=False)
        self._end.atexit = False  # the link does that itself, and waits

    # --- the contract ---

    @property
    def heal_interval(self) -> float:  # type: ignore[override] # of the base it is a constant
        """A quarter of a second while the server delivers, a hundredth once it has not for half a second."""
        since = self._link.session.unwell_since
        return _HEALTHY if since is None or time.monotonic() - since < _HICCUP else _UNHEALTHY

    def check_options(self, metadata: Mapping[str, str]) -> None:
        """``InvalidParameter`` (22023) for a topic's option of this broker with a wrong value."""
        StreamOptions.of(metadata)

    def register_topic(self, topic: TopicDefinition) -> None:
        """Have a stream made for it in the background, or changed to its options; wrong ones are logged and left out."""
        self._link.check_process()
        self._link.call(self._link.session.register, topic)

    def drop_topic(self, topic_id: TopicId) -> None:
        """Wake its readers and have its stream deleted in the background, as far as the server can be reached."""
        super().drop_topic(topic_id)
        self._link.check_process()
        self._link.call(self._link.session.drop, topic_id)

    def publish(self, topic: TopicDefinition, delivered: DeliveredBatch) -> None:
        """Hand a committed batch to the subscriptions here and queue it for the server. Never waits."""
        self._link.check_process()
        super().publish(topic, delivered)
        self._link.outbox.put(topic, delivered)

    def subscribe(self, topic_id: TopicId, predicate: Predicate, from_offset: Offset | None) -> BrokerSubscription:
        """The batches handed over from now on, here or by other processes."""
        self._link.check_process()
        subscription = super().subscribe(topic_id, predicate, from_offset)
        self._link.call(self._link.session.want, topic_id)
        return subscription

    def list_consumers(self, topic_id: TopicId) -> list[ConsumerOffsetSnapshot]:
        """One snapshot per live subscription of this process, and one per consumer of another process.

        Of those the server tells, and what it delivered last is looked up as an offset; -1 where it delivered nothing
        or has forgotten what. Raises ``DriverError`` when it cannot be asked, within five seconds.
        """
        from .listing import foreign_consumers  # noqa: PLC0415 - as above

        self._link.check_process()
        own = super().list_consumers(topic_id)
        others = self._link.ask(foreign_consumers(self._link.session, topic_id, self.origin), _LIST_TIMEOUT)
        return own + others

    def close(self) -> None:
        """End all subscriptions, send what waits for at most ``close_timeout`` seconds, and disconnect."""
        super().close()
        self._link.stop()

    # --- how it is ---

    @property
    def connected(self) -> bool:
        """Whether the server can be reached."""
        return self._link.session.connected.is_set()

    def wait_connected(self, timeout: float) -> bool:
        """Wait until the server can be reached, at most ``timeout`` seconds; whether it can."""
        return self._link.session.connected.wait(timeout)

    @property
    def statistics(self) -> dict[str, int]:
        """Counts since it was made: messages ``acknowledged`` by the server, ``received`` from other processes,
        ``failed`` (refused or not acknowledged), ``dropped`` (the queue was full), and how many are ``waiting`` now."""
        session = self._link.session
        return {
            "acknowledged": session.sender.acknowledged,
            "received": session.consumers.received,
            "failed": session.sender.failed,
            "dropped": self._link.outbox.dropped,
            "waiting": len(self._link.outbox),
        }
