"""A TCP proxy on loopback that cuts, delays and swallows what goes through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.topic_support import LIMIT

__all__ = ["Proxy"]

_CHUNK = 1 << 16


class Proxy:
    """Stands on ``port`` for a server at ``target``, in a thread of its own.

    Every change is in force when its call returns. ``cut`` ends all connections and refuses new ones, ``drop`` ends
    them and takes new ones, ``blackhole`` keeps them and swallows what either side says from now on, ``delay`` holds
    each piece back for so many seconds in each direction, ``mute`` swallows what the server says alone, ``heal`` undoes all of it: connections that lost something
    in a black hole end.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._refusing = False
        self._silent = False
        self._mute = False
        self._delay = 0.0
        self._tasks: dict[asyncio.Task[Any], bool] = {}  # and whether it lost something
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as host and port."""
        return "127.0.0.1", self.port

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._tasks)

    def cut(self) -> None:
        """End all connections, and new ones at once."""
        self._run(self._change(refusing=True, ended=lambda lost: True))

    def drop(self) -> None:
        """End all connections; new ones go through."""
        self._run(self._change(ended=lambda lost: True))

    def blackhole(self) -> None:
        """Swallow everything, in silence; new connections are taken and told nothing."""
        self._run(self._change(silent=True))

    def mute(self) -> None:
        """Swallow the answers; the server gets everything."""
        self._run(self._change(mute=True))

    def delay(self, seconds: float) -> None:
        """Hold everything back for so long."""
        self._run(self._change(delay=seconds))

    def heal(self) -> None:
        """Be a wire again."""
        self._run(self._change(refusing=False, silent=False, mute=False, delay=0.0, ended=lambda lost: lost))

    def hear(self) -> None:
        """Let through what is said from now on, also on connections that lost something."""
        self._run(self._change(silent=False))

    @property
    def swallowed(self) -> bool:
        """Whether an open connection lost something."""
        return any(self._tasks.values())

    def close(self) -> None:
        """End it."""
        if self._loop.is_closed():
            return
        self._run(self._stop_listening())
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _stop_listening(self) -> None:
        # In the loop's own thread: elsewhere a connection that ends at the same moment breaks asyncio's bookkeeping.
        self._server.close()

    async def _change(
        self,
        refusing: bool | None = None,
        silent: bool | None = None,
        mute: bool | None = None,
        delay: float | None = None,
        ended: Any = lambda lost: False,
    ) -> None:
        self._refusing = self._refusing if refusing is None else refusing
        self._silent = self._silent if silent is None else silent
        self._mute = self._mute if mute is None else mute
        self._delay = self._delay if delay is None else delay
        tasks = [task for task, lost in self._tasks.items() if ended(lost)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._refusing:
            writer.transport.abort()
            return
        self._tasks[task] = self._silent
        ends = [writer]
        try:
            if self._silent:
                await asyncio.Event().wait()  # until it is cut or healed
            there, onward = await asyncio.open_connection(*self._target)
            ends.append(onward)
            pipes = [
                asyncio.ensure_future(self._pipe(task, reader, onward)),
                asyncio.ensure_future(self._pipe(task, there, writer, answers=True)),
            ]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                await asyncio.gather(*pipes, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.pop(task, None)
            for end in ends:
                end.transport.abort()

    async def _pipe(
        self, connection: asyncio.Task[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        *, answers: bool = False,
    ) -> None:  # fmt: skip
        """One direction. What is delayed is kept in order, and does not hold up the reading."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                at, data = await held.get()
                await asyncio.sleep(at - self._loop.time())
                if self._silent or (self._mute and answers):
                    self._tasks[connection] = True
                    continue
                writer.write(data)
                await writer.drain()

        writing = asyncio.ensure_future(write())
        try:
            with suppress(OSError):
                while data := await reader.read(_CHUNK):
                    held.put_nowait((self._loop.time() + self._delay, data))
                while not held.empty():
                    await asyncio.sleep(0.001)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
