"""``jammi-sql serve``: the Flight SQL server."""

from __future__ import annotations

import argparse
import contextlib
import gc
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import Error
from .narration import say
from .target import DEFAULT_TARGET, target

__all__ = ["serve"]

_FINE, _FAILED, _USAGE = 0, 1, 2
_SWITCH = 0.0005  # seconds
_YOUNG = 20_000


def serve(arguments: Sequence[str]) -> int:
    """Run the server until it is told to stop; 0 then, 1 when it could not begin, 2 on wrong usage."""
    options = _parser().parse_args(list(arguments))
    # After that, so that --help answers at once.
    import asyncio  # noqa: PLC0415

    from .. import logs  # noqa: PLC0415
    from ..engine import Engine  # noqa: PLC0415
    from .complaint import complaint  # noqa: PLC0415

    try:
        from ..flight.options import Limits, ServerOptions  # noqa: PLC0415 - an extra
        from ..flight.server import check_options  # noqa: PLC0415
        from ..flight.server import serve as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        say(f"jammi-sql serve needs the package {error.name}: pip install 'jammi-sql[server]'")
        return _FAILED
    settings = ServerOptions(
        options.host,
        options.port,
        options.token_file,
        options.tls_cert,
        options.tls_key,
        options.tls_client_ca,
        tuple(options.allow_files),
        options.metrics_port,
        Limits(
            threads=options.threads,
            message_bytes=options.max_message,
            statement_timeout=options.statement_timeout,
            memory_limit=options.memory_limit,
            rate=options.rate,
            transaction_timeout=options.transaction_timeout,
        ),
    )
    logs.configure(options.log_format)
    try:
        check_options(settings)
    except Error as error:
        say(f"jammi-sql serve: {error.message}; {error.hint}")
        return _USAGE
    _tune()
    try:
        with Engine.open(
            options.store, options.broker, metrics=None if options.metrics_port is None else "prometheus"
        ) as engine:
            asyncio.run(run(engine, settings, _ready))
    except Error as error:
        say(complaint(error, ""))
        return _FAILED
    except OSError as error:
        say(f"jammi-sql serve: {error}")
        return _FAILED
    return _FINE


def _tune() -> None:
    """Let the event loop have its turn soon while threads plan statements, and look for garbage less often: thousands of
    open streams are objects that stay."""
    sys.setswitchinterval(_SWITCH)
    gc.set_threshold(_YOUNG, 20, 50)


def _ready(address: str) -> None:
    print(f"ready: {address}", flush=True)


def _port(text: str) -> int:
    return int(_number(text, int, lambda number: 0 <= number <= 65_535, "a number from 0 to 65535"))


def _count(text: str) -> int:
    return int(_number(text, int, lambda number: number >= 1, "a whole number above 0"))


def _amount(text: str) -> float:
    return _number(text, float, lambda number: 0 < number < math.inf, "a number above 0")  # which NaN is not


def _number(text: str, kind: type[int | float], fits: Callable[[float], bool], wanted: str) -> float:
    with contextlib.suppress(ValueError):
        number = kind(text)
        if fits(number):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jammi-sql serve",
        description="Serve a store to clients of Flight SQL: ADBC, JDBC and ODBC drivers.",
        epilog="It prints one line when it is ready. SIGTERM ends live streams, lets running statements finish for 10 s, "
        "and exits with 0; SIGHUP reads the token file again.",
    )
    parser.add_argument(
        "--store",
        type=target,
        default=DEFAULT_TARGET,
        metavar="TARGET",
        help=f"a folder, or postgresql://... (default: {DEFAULT_TARGET})",
    )
    parser.add_argument("--broker", metavar="URL", help="a broker beside the store: nats://...")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8815, help="0 for a free one (default: 8815)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="lines of: token tenant-uuid, token - or token admin"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="the server's certificate chain, in PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, in PEM")
    parser.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="who must have signed clients' certificates")
    parser.add_argument(
        "--allow-files",
        action="append",
        default=[],
        metavar="GLOB",
        help="files that clients may reach; may be repeated",
    )
    parser.add_argument("--metrics-port", type=_port, metavar="N", help="for /healthz, /readyz and /metrics")
    parser.add_argument(
        "--log-format", choices=["text", "json"], default="text", help="of standard error (default: text)"
    )
    parser.add_argument(
        "--threads", type=_count, default=32, metavar="N", help="statements at the same time (default: 32)"
    )
    parser.add_argument(
        "--max-message",
        type=_count,
        default=64 << 20,
        metavar="BYTES",
        help="the largest message taken (default: 64 MiB)",
    )
    parser.add_argument(
        "--statement-timeout", type=_amount, metavar="SECONDS", help="the most that a statement may take"
    )
    parser.add_argument(
        "--memory-limit", type=_count, metavar="BYTES", help="for sorts, joins and aggregates of a session"
    )
    parser.add_argument("--rate", type=_amount, metavar="N", help="calls a second of one identity")
    parser.add_argument(
        "--transaction-timeout",
        type=_amount,
        default=300.0,
        metavar="SECONDS",
        help="how long a transaction may lie idle before it is undone (default: 300)",
    )
    return parser
