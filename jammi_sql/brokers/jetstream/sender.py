"""Publishes what is in the outbox."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from nats.aio.msg import Msg

from ...topics.definition import TopicDefinition, TopicId
from ...topics.remembered import Remembered
from .client import CheckedClient
from .complaints import Complaints
from .message import Encoder
from .outbox import Outbox, Parcel
from .streams import Names

__all__ = ["Sender"]

_WINDOW: Final = 1024
"""Messages without an acknowledgement, which are sent again after a reconnect."""
_WINDOW_BYTES: Final = 16 << 20
_PATIENCE: Final = 5.0
"""Seconds until an acknowledgement is overdue."""
_ATTEMPTS: Final = 5
_TOPICS: Final = 1024
_TURN: Final = 32
"""Messages after which others get their turn on the event loop."""


class Sender:
    """Sends in order and keeps what is not acknowledged yet, within bounds. It outlives connections.

    A message that the server refuses or does not acknowledge in time is given up, counted and complained about:
    whoever misses it finds it in the log. Only a missing stream, which is made, and a lost connection let it be sent
    again; the server recognises what it has already by its id.
    """

    def __init__(
        self, outbox: Outbox, origin: str, names: Names, complaints: Complaints, need: Callable[[TopicDefinition], None]
    ) -> None:
        self.wake = asyncio.Event()
        self.acknowledged = 0
        self.failed = 0
        self._outbox = outbox
        self._origin = origin
        self._names = names
        self._complaints = complaints
        self._need = need
        self._again: deque[Parcel] = deque()
        self._parked: dict[TopicId, list[Parcel]] = {}
        self._window: dict[int, Parcel] = {}
        self._window_bytes = 0
        self._number = 0
        self._topics: Remembered[TopicId, tuple[Mapping[str, str], Encoder, str]] = Remembered(_TOPICS)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent or acknowledged."""
        return not (self._window or self._parked or self._again or len(self._outbox))

    def reconnected(self) -> None:
        """Send again what had not been acknowledged, unless that has cost too many connections already."""
        parked = [parcel for parcels in self._parked.values() for parcel in parcels]
        unanswered = list(self._window.values())
        self._window, self._window_bytes, self._parked = {}, 0, {}
        for parcel in unanswered:
            parcel.attempts += 1
        self._again.extendleft(reversed([one for one in [*unanswered, *parked] if one.attempts < _ATTEMPTS]))
        for parcel in unanswered:
            if parcel.attempts >= _ATTEMPTS:
                self._give_up(parcel, "the connection was lost each time")

    async def run(self, client: CheckedClient, answers: str) -> None:
        """Send for as long as the connection lasts; acknowledgements come to ``answers`` and a number."""
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_TURN):
                parcel = self._take()
                if parcel is None:
                    break
                encoder, subject = self._known_topic(parcel.topic)
                headers, payload = encoder.encode(parcel.delivered, client.max_payload, parcel.size)
                self._number += 1
                parcel.deadline = loop.time() + _PATIENCE
                self._window[self._number] = parcel
                self._window_bytes += parcel.size
                await client.publish(subject, payload, f"{answers}.{self._number}", headers)
            else:
                await asyncio.sleep(0)  # a publisher that never pauses leaves room for what comes in
                continue
            self.wake.clear()
            if not self._has_more():
                await self.wake.wait()

    def _known_topic(self, topic: TopicDefinition) -> tuple[Encoder, str]:
        """What makes its messages, and their subject. The stream is changed when the topic's options were."""
        known = self._topics.get(topic.id)
        if known is not None and known[0] is topic.broker_metadata:
            return known[1], known[2]
        if known is not None and known[0] != topic.broker_metadata:
            self._need(topic)
        encoder, subject = Encoder(topic.id, self._origin), self._names.subject(topic.id)
        self._topics[topic.id] = (topic.broker_metadata, encoder, subject)
        return encoder, subject

    def _has_more(self) -> bool:
        return not self._full and bool(self._again or len(self._outbox))

    @property
    def _full(self) -> bool:
        return len(self._window) >= _WINDOW or self._window_bytes >= _WINDOW_BYTES

    def _take(self) -> Parcel | None:
        if self._full:
            return None
        return self._again.popleft() if self._again else self._outbox.take()

    async def on_answer(self, message: Msg) -> None:
        """An acknowledgement, or what the server has against a message."""
        number = message.subject.rpartition(".")[2]
        was_full = self._full
        parcel = self._window.pop(int(number), None) if number.isdigit() else None
        if parcel is None:
            return
        self._window_bytes -= parcel.size
        if message.headers is not None and message.headers.get("Status") == "503":
            self._park(parcel)
        elif b'"error"' in message.data:
            self._give_up(parcel, _refusal(message.data))
        else:
            self.acknowledged += 1
        if was_full or self._again:
            self.wake.set()

    def _park(self, parcel: Parcel) -> None:
        """Nobody takes its subject: its stream is to be made first."""
        parcel.attempts += 1
        parked = self._parked.setdefault(parcel.topic.id, [])
        if parcel.attempts >= _ATTEMPTS or sum(map(len, self._parked.values())) >= _WINDOW:
            if not parked:
                del self._parked[parcel.topic.id]
            self._give_up(parcel, "there is no stream for it")
            return
        parked.append(parcel)
        self._need(parcel.topic)

    def stream_is_there(self, topic: TopicId) -> None:
        """Send what waited for it."""
        self._again.extend(self._parked.pop(topic, ()))
        self.wake.set()

    def stream_is_not_there(self, topic: TopicId, reason: str) -> None:
        """Give up what waited for it."""
        for parcel in self._parked.pop(topic, ()):
            self._give_up(parcel, reason)

    def forget(self, topic: TopicId) -> None:
        """The topic was dropped: nobody wants the rest."""
        self._parked.pop(topic, None)
        self._again = deque(parcel for parcel in self._again if parcel.topic.id != topic)
        for number in [number for number, parcel in self._window.items() if parcel.topic.id == topic]:
            self._window_bytes -= self._window.pop(number).size
        self.wake.set()

    def expire(self, now: float) -> None:
        """Give up what was not acknowledged in time."""
        for number, parcel in list(self._window.items()):
            if parcel.deadline > now:
                break  # they are in the order of sending
            del self._window[number]
            self._window_bytes -= parcel.size
            self._give_up(parcel, "it was not acknowledged in time")
            self.wake.set()

    def _give_up(self, parcel: Parcel, reason: str) -> None:
        self.failed += 1
        self._complaints.say(
            ("publish", parcel.topic.id, reason),
            f"the server did not take offset {parcel.delivered.offset.value} of topic {parcel.topic.name}: {reason}; "
            "other processes find it in the log",
        )


def _refusal(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return "it was refused"
