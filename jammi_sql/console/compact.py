"""``jammi-sql compact``: moves logs into segments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import connect
from ..errors import Error, StoreIOError
from .format_names import FORMAT_NAMES
from .narration import say
from .target import target

__all__ = ["compact"]

_STORE = "jammi.db"


def compact(arguments: Sequence[str]) -> int:
    """Run the command: a row per topic on standard output; 0 when all went well, 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="jammi-sql compact", description="Move the logs of topics into segments, which are Parquet files."
    )
    parser.add_argument("target", type=target, metavar="TARGET", help="the folder of a store, or a postgresql:// URL")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="a topic (default: all of them)")
    parser.add_argument("--tenant", metavar="UUID", help="a tenant's own topics")
    parser.add_argument("--format", choices=FORMAT_NAMES, default="table", help="of the rows (default: table)")
    options = parser.parse_intermixed_args(list(arguments))  # topics may come after an option
    # After that, so that --help answers at once.
    from ..stores import is_postgres_url  # noqa: PLC0415
    from .complaint import complaint  # noqa: PLC0415
    from .formats import FORMATS  # noqa: PLC0415

    try:
        if not is_postgres_url(options.target) and not (Path(options.target) / _STORE).exists():
            raise StoreIOError(f"there is no store in {options.target}", hint="give the folder of one")
        with connect(options.target, tenant=options.tenant) as connection:
            output = None
            for topic in options.topics or [None]:
                text, values = ("CALL jammi.compact()", ()) if topic is None else ("CALL jammi.compact(?)", (topic,))
                done = connection.execute(text, values).fetch_arrow_table()
                if output is None:
                    output = FORMATS[options.format](sys.stdout.buffer)
                    output.begin(done.schema)
                for batch in done.to_batches():
                    output.write(batch)
            if output is not None:
                output.end()
    except Error as error:
        say(complaint(error, ""))
        return 1
    return 0
