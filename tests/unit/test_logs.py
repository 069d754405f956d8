"""Logs are lines of JSON with fields, in which no value and no password stands."""

from __future__ import annotations

import io
import logging
import re
import sys

import orjson
import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from jammi_sql.errors import LockNotAvailable
from jammi_sql.logs import TextFormatter, about, configure, gathered, reason
from tests.topic_support import batch_of, definition


@pytest.fixture
def lines() -> io.StringIO:
    """What is written as JSON."""
    stream = io.StringIO()
    configure("json", level="DEBUG", stream=stream)
    return stream


def read(lines: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in lines.getvalue().splitlines()]


def test_a_record_is_one_line_with_its_fields(lines: io.StringIO) -> None:
    logger = logging.getLogger("jammi_sql.topics")
    logger.warning("two\nlines of %s", "text", extra=about(LockNotAvailable("busy"), topic="t", offset=7))
    (line,) = read(lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(line.pop("time")))
    assert line == {
        "level": "WARNING",
        "logger": "jammi_sql.topics",
        "message": "two\nlines of text",
        "topic": "t",
        "offset": 7,
        "error": "LockNotAvailable",
        "sqlstate": "55P03",
    }


def test_the_time_is_that_of_the_record_in_utc(lines: io.StringIO) -> None:
    record = logging.makeLogRecord({"name": "jammi_sql", "levelno": logging.INFO, "created": 1_700_000_000.25})
    logging.getLogger("jammi_sql").handle(record)
    assert read(lines)[0]["time"] == "2023-11-14T22:13:20.250000Z"


def test_an_exception_has_its_class_and_place_but_not_its_message(lines: io.StringIO) -> None:
    try:
        int("secret value")
    except ValueError:
        logging.getLogger("jammi_sql.brokers").exception("cannot look")
    (line,) = read(lines)
    assert line["error"] == "ValueError"
    assert isinstance(line["trace"], list)
    assert "test_logs.py" in line["trace"][0]
    assert "secret" not in lines.getvalue()


def test_text_for_people_has_no_message_of_an_exception_either(lines: io.StringIO) -> None:
    stream = io.StringIO()
    handler = configure("text", stream=stream)
    try:
        int("secret value")
    except ValueError:
        logging.getLogger("jammi_sql.brokers").exception("cannot look")
    logging.getLogger("jammi_sql").removeHandler(handler)
    assert "ERROR jammi_sql.brokers: cannot look\nValueError\n" in stream.getvalue()
    assert "secret" not in stream.getvalue()
    assert lines.getvalue() == ""  # configure replaced the handler of before


def test_formatters_do_not_leave_each_other_the_text_of_an_exception() -> None:
    try:
        int("secret value")
    except ValueError:
        record = logging.makeLogRecord({"msg": "cannot look", "exc_info": sys.exc_info()})
    whole = logging.Formatter().format(record)
    assert "secret value" in whole
    assert "secret" not in TextFormatter().format(record)
    assert logging.Formatter().format(record) == whole


def test_what_json_has_no_form_for_is_text(lines: io.StringIO) -> None:
    logging.getLogger("jammi_sql").info("x", extra={"path": io.StringIO, "numbers": {1: 2}})
    (line,) = read(lines)
    assert "StringIO" in str(line["path"])
    assert line["numbers"] == {"1": 2}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LockNotAvailable("busy", hint="wait"), "busy"),
        (PermissionError(13, "Permission denied", "/secret"), "PermissionError: Permission denied"),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_of_an_error_of_somebody_else_a_message_has_no_values(error: Exception, said: str) -> None:
    assert reason(error) == said


class Refusing(InMemoryBroker):
    """Quotes what it was given, and where it sends it."""

    def publish(self, topic: object, delivered: object) -> None:
        raise ConnectionError(f"nats://user:password@host: {delivered}")

    subscribe = publish  # type: ignore[assignment]
    drop_topic = publish  # type: ignore[assignment]


def test_a_hand_over_that_fails_is_logged_with_topic_and_offset_and_nothing_of_the_batch(lines: io.StringIO) -> None:
    with Engine.open(broker=Refusing()) as engine:
        topic = engine.topic_repo.register_topic(definition("orders"))
        engine.publisher.publish_scoped(topic, None, batch_of([424242]))
        engine.subscriber.subscribe(topic).close()
        engine.topic_repo.drop_topic(topic.id)
    found = [line for line in read(lines) if line["level"] == "WARNING"]
    assert [line["topic"] for line in found] == ["orders"] * 3
    assert [line["error"] for line in found][:1] == ["ConnectionError"]
    assert found[0]["offset"] == 0
    assert found[0]["broker"] == "memory"
    assert "password" not in lines.getvalue()
    assert "424242" not in lines.getvalue()


def test_gathered_lines_are_written_at_once_in_order() -> None:
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    logger = logging.getLogger("jammi_sql")
    before = logger.level
    handler = configure("json", stream=Stream())
    try:
        with gathered():
            for number in range(3):
                logger.info("line %d", number)
            assert not written
        logger.info("after")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    together, alone = [
        [orjson.loads(line)["message"] for line in text.splitlines()] for text in written if text.strip()
    ]
    assert together == ["line 0", "line 1", "line 2"]
    assert alone == ["after"]
