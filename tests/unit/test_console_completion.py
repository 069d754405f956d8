"""What the prompt suggests, asked of the completer itself; the keys are tried in the acceptance tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import jammi_sql
from jammi_sql.console.catalogue import Catalogue
from jammi_sql.console.completion import StatementCompleter

Suggest = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def suggest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suggest]:
    """The suggestions for a text; ``|`` is the cursor, else it is at the end."""
    folder: Path = tmp_path_factory.mktemp("shop")
    (folder / "prices.csv").write_text("item,price\nnut,1\n")
    with jammi_sql.connect(":memory:") as connection:
        connection.execute("CREATE TOPIC orders (id INT, item VARCHAR)")
        connection.execute("CREATE TABLE stock (item VARCHAR, amount INT)")
        connection.execute('CREATE TABLE "Odd" (x INT)')
        connection.execute(f"ATTACH '{folder}' AS shop (TYPE files)")
        completer = StatementCompleter(Catalogue(connection), [("\\d", ""), ("\\dt", "")], {"\\format": ["csv"]}.get)

        def suggestions(text: str) -> list[str]:
            before, _, after = text.partition("|")
            document = Document(before + after, len(before))
            event = CompleteEvent(completion_requested=True)
            return [completion.text for completion in completer.get_completions(document, event)]

        yield suggestions


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT * FROM or", ["orders"]),
        ("SELECT * FROM sh", ["shop."]),
        ("SELECT * FROM shop.", ["public."]),
        ("SELECT * FROM shop.public.", ["prices"]),
        ("SELECT pric| FROM shop.public.prices", ["price", "prices"]),
        ("SELECT p.| FROM shop.public.prices AS p", ["item", "price"]),
        ("SELECT * FROM orders o JOIN stock s ON o.item = s.am", ["amount"]),
        ("INSERT INTO od", ['"Odd"']),
        ("SELECT * FROM jammi.system.to", ["topics"]),
        ("SELECT cosine_d", ["cosine_distance("]),
        ("SELECT * FROM subscribe('or", ["'orders'"]),
        ("SELECT * FROM subscribe('orders', id", ["idle_timeout => "]),
        ("DROP TOPIC ", ["orders", "IF"]),
        ("INSERT INTO orders (", ["id", "item", "_offset"]),
        ("COPY orders FROM ", ["STDIN"]),
        ("CALL ", ["jammi.compact("]),
        ("DETACH ", ["shop"]),
        ("REFRESH SOURCE s", ["shop"]),
        ("SET jammi.ba", ["batch_size"]),
        ("RESET datafusion.execution.target", ["target_partitions"]),
        ("SHOW ten", ["tenant"]),
        ("SHOW top", ["topics"]),
        ("\\d", ["\\d", "\\dt"]),
        ("\\d or", ["orders"]),
        ("\\d shop.public.", ["prices"]),
        ("\\topics ", ["orders"]),
        ("\\format c", ["csv"]),
        ("SELECT 'or", []),
        ("SELECT 1 -- or", []),
    ],
)
def test_what_may_stand_there_is_suggested(suggest: Suggest, text: str, wanted: list[str]) -> None:
    found = suggest(text)
    assert (found[: len(wanted)] if text.endswith("(") else found) == wanted
