"""Closing from ``__del__``, on a thread of its own.

A garbage collection runs ``__del__`` at any moment, on a thread that may hold the very lock that closing needs, a
store's or an engine's: closing there would wait for ever. Another thread closes, and ``__del__`` waits for it only so
long as it takes where nothing is in its way.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["finalize", "ready"]

_PATIENCE = 0.5
_MEANWHILE = 0.01  # seconds in which a thread comes out of __del__
_waiting: SimpleQueue[tuple[Callable[[], None], _thread.LockType]] = SimpleQueue()  # put() may be called in __del__
_starting = threading.Lock()
_thread_of_ours: threading.Thread | None = None


def ready() -> None:
    """Start the thread unless it runs; to be called where objects are made, since ``__del__`` must not start one."""
    global _thread_of_ours  # noqa: PLW0603 - there is one process
    if _thread_of_ours is None:
        with _starting:
            if _thread_of_ours is None:
                thread = threading.Thread(target=_run, name="jammi-finalizing", daemon=True)
                thread.start()
                _thread_of_ours = thread


def finalize(close: Callable[[], None]) -> None:
    """Have ``close`` called. It is over when this returns, unless it waits for a lock that this thread holds.

    What it raises is reported as an exception of any thread is, through ``threading.excepthook``.
    """
    if _thread_of_ours is threading.current_thread():
        close()  # an object that another one held: this thread holds no lock that anything waits for
        return
    try:
        _close(close).acquire(timeout=_PATIENCE)
    except KeyboardInterrupt:  # in __del__ it would be lost
        _close(_interrupt)


def _close(close: Callable[[], None]) -> _thread.LockType:
    done = _thread.allocate_lock()
    done.acquire()
    _waiting.put((close, done))
    return done


def _interrupt() -> None:
    time.sleep(_MEANWHILE)
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)  # a real one: it ends waits


def _run() -> None:
    while True:
        close, done = _waiting.get()
        try:
            close()
        except Exception as error:
            arguments = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(arguments))
        finally:
            done.release()
        del close  # or the object would live until the next one comes
