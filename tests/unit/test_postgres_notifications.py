"""The threads that tell of commits and hear of them: nothing of them is lost at the end, and nothing of others touched."""

from __future__ import annotations

import os
import resource
import threading

import pytest

from jammi_sql.errors import ConnectionLost
from jammi_sql.stores.postgres_listener import Listener
from jammi_sql.stores.postgres_watch import Notifier
from tests.servers.postgres import PostgresServer
from tests.topic_support import LIMIT, until


def test_what_was_committed_just_before_the_end_is_told() -> None:
    sending, go_on = threading.Event(), threading.Event()
    sent: list[str] = []

    def send(channel: str, token: str) -> None:
        sent.append(channel)
        sending.set()
        assert go_on.wait(LIMIT)

    notifier = Notifier(send, "channel")
    notifier.signal()
    assert sending.wait(LIMIT)
    notifier.signal()  # a commit that the notification on its way may come too early for
    closing = threading.Thread(target=notifier.close)
    closing.start()
    until(lambda: notifier._closed, "it closes")
    go_on.set()
    closing.join(LIMIT)
    assert sent == ["channel"] * 2


def test_who_committed_nothing_tells_nothing_at_the_end() -> None:
    sent: list[str] = []
    notifier = Notifier(lambda channel, token: sent.append(channel), "channel")
    notifier.signal()
    until(lambda: sent, "it is told")
    notifier.close()
    assert sent == ["channel"]
    notifier.signal()
    notifier.close()
    assert sent == ["channel"]


def test_a_server_that_cannot_be_told_is_told_of_the_next_commit() -> None:
    sent: list[str] = []

    def send(channel: str, token: str) -> None:
        sent.append(channel)
        if len(sent) == 1:
            raise ConnectionLost("it is gone")

    notifier = Notifier(send, "channel")
    notifier.signal()
    until(lambda: len(sent) == 1, "it was tried")
    notifier.signal()
    until(lambda: len(sent) == 2, "it was tried again")
    notifier.close()


def test_a_listener_whose_thread_ended_long_ago_writes_to_nobody_s_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "_run", Listener._release)  # as where notifications do not arrive
    listener = Listener("postgresql://nowhere", "channel", "token", lambda: None)
    thread = listener._thread
    assert thread is not None
    thread.join(LIMIT)
    others = [os.pipe() for _ in range(4)]  # they get the numbers that are free
    assert listener._writing in {number for pair in others for number in pair}
    try:
        listener.close()
        listener.close()
        for reading, writing in others:
            os.set_blocking(reading, False)
            with pytest.raises(BlockingIOError):
                os.read(reading, 1)
            os.write(writing, b"mine")
            assert os.read(reading, 9) == b"mine"
    finally:
        for pair in others:
            for number in pair:
                os.close(number)


def test_it_listens_in_a_process_with_many_open_files(postgres: PostgresServer) -> None:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, min(4096, most)), most))
    heard = threading.Event()
    files = [open(os.devnull) for _ in range(1100)]  # noqa: SIM115 - past what select takes
    try:
        listener = Listener(postgres.url(), "many", "me", heard.set)
        until(lambda: listener.audible, "it listens")
        heard.clear()
        postgres.sql("NOTIFY many, 'somebody'")
        assert heard.wait(LIMIT)
        listener.close()
    finally:
        for file in files:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
