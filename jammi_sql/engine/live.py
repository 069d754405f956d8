"""Queries with ``subscribe(...)``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..dialect import parse_identifier_path
from ..dialect.statements import Name, Query, SubscribeCall
from ..errors import (
    Error,
    FeatureNotSupported,
    InvalidParameter,
    OffsetEvicted,
    StatementSyntaxError,
    UnboundedResult,
    UndefinedColumn,
)
from ..plan.arguments import EARLIEST, LATEST, Bound, Moment, idle_seconds, read_bound
from ..plan.shape import HINT, Shape, shape_of
from ..ports import Reader
from ..results import BatchResult, Result
from ..topics.batch_condition import BatchCondition
from ..topics.catalog import CatalogTopic
from ..topics.log import Head
from ..topics.predicate import Predicate
from ..topics.relation import ENGINE_COLUMNS
from .asof import AsofJoins, asof_relations
from .live_source import LiveProvider, LiveQuery, LiveSource
from .planning import Planning
from .relations import inserted_relations
from .remote_calls import remote_relations

if TYPE_CHECKING:
    from .session import Session

__all__ = ["bounded_relations", "describe_subscribing", "refuse_unbounded", "run_subscribing", "subscribed_topic"]

_POLL = 0.02


@dataclass(frozen=True, slots=True)
class _Window:
    """A ``subscribe`` call with its arguments known. ``until`` is inclusive, ``None``: unbounded."""

    call: SubscribeCall
    topic: CatalogTopic
    start: int
    until: int | None
    idle_timeout: float | None
    pending: Moment | None
    """``until`` as a time that is not over yet: which offset it means is known later."""
    earliest: bool
    """Whether ``start`` is where the topic began: it goes on with that until something was read."""

    @property
    def unbounded(self) -> bool:
        return self.until is None and self.pending is None


def refuse_unbounded(position: int | None) -> Error:
    """The error where the end of a result is asked for that has none."""
    return UnboundedResult("this subscribe never ends", position=position, hint=f"{HINT}, or add LIMIT or idle_timeout")


def run_subscribing(session: Session, query: Query, parameters: Mapping[str, pa.Scalar]) -> Result:
    """Run a query with at least one ``subscribe``.

    One that is unbounded, or that is the only one in a plan of filters and projections, is pulled batch by batch;
    the others are bounded relations.
    """
    windows = [_window(session, call, parameters) for call in query.subscribes]
    unbounded = [window for window in windows if window.unbounded]
    if len(unbounded) > 1:
        raise UnboundedResult(
            "two unbounded subscribes in one statement", position=unbounded[1].call.position, hint=HINT
        )
    streamed = unbounded[0] if unbounded else windows[0] if len(windows) == 1 else None
    if streamed is not None:
        try:
            return _streamed(session, query, parameters, streamed, windows)
        except UnboundedResult:
            if streamed.unbounded:
                raise
    return _relational(session, query, parameters, windows)


def subscribed_topic(session: Session, call: SubscribeCall, parameters: Mapping[str, pa.Scalar]) -> CatalogTopic:
    """The topic that a ``subscribe`` call names."""
    return session.names.topic(_topic_name(session, call, parameters))


def _window(session: Session, call: SubscribeCall, parameters: Mapping[str, pa.Scalar]) -> _Window:
    services = session.engine.services
    topic = subscribed_topic(session, call, parameters)
    bounds: dict[str, Bound] = {
        option: read_bound(
            session.queries.evaluate(call.options[option], parameters), option, call.options[option].origin(0)
        )
        for option in ("from", "until")
        if option in call.options
    }
    idle = call.options.get("idle_timeout")
    idle_timeout = None if idle is None else idle_seconds(session.queries.evaluate(idle, parameters), idle.origin(0))
    # What a transaction has not committed is nothing that a subscriber may count on: it may be rolled back.
    reader = session.reader if "until" in bounds else services.store
    head = services.log.head(reader, topic)
    begin = bounds.get("from", EARLIEST if "until" in bounds else LATEST)
    start = _start(session, reader, topic, head, begin)
    if start < head.first:
        evicted = OffsetEvicted(topic.name, start, head.first)
        evicted.position = call.options["from"].origin(0)
        raise evicted
    until, pending = _until(session, topic, head, bounds.get("until"))
    return _Window(call, topic, start, until, idle_timeout, pending, begin == EARLIEST)


def _topic_name(session: Session, call: SubscribeCall, parameters: Mapping[str, pa.Scalar]) -> Name:
    position = call.topic.origin(0)
    try:
        value = session.queries.evaluate(call.topic, parameters).as_py()
    except UndefinedColumn as error:
        error.hint = "the topic's name is text: write subscribe('events.changes')"
        raise
    if not isinstance(value, str):
        raise InvalidParameter(
            "subscribe takes the topic's name as text", position=position, hint="write subscribe('events.changes')"
        )
    try:
        return Name(parse_identifier_path(value), position)
    except StatementSyntaxError as error:
        raise InvalidParameter(
            f"{value!r} is no name: {error.message}", position=position, hint='write "Odd.Name" in double quotes'
        ) from error


def _start(session: Session, reader: Reader, topic: CatalogTopic, head: Head, bound: Bound) -> int:
    if isinstance(bound, Moment):
        return session.engine.services.log.offset_since(reader, topic, bound.microseconds, session.tenant)
    if bound == EARLIEST:
        return head.first
    return head.next if isinstance(bound, str) else bound


def _until(session: Session, topic: CatalogTopic, head: Head, bound: Bound | None) -> tuple[int | None, Moment | None]:
    if bound is None:
        return None, None
    if isinstance(bound, Moment):
        if bound.microseconds >= session.engine.clock.now_us():
            return None, bound
        return session.engine.services.log.offset_since(
            session.reader, topic, bound.microseconds + 1, session.tenant
        ) - 1, None
    return (head.next - 1 if isinstance(bound, str) else bound), None


def _streamed(
    session: Session,
    query: Query,
    parameters: Mapping[str, pa.Scalar],
    streamed: _Window,
    windows: list[_Window],
) -> BatchResult:
    """The result of a query that is run over each delivery of ``streamed``."""
    provider = LiveProvider(streamed.topic.codec.schema)
    relation = streamed.call.relation
    with session.queries.planned(query.words) as planning:
        inserted: dict[str, Any] = {
            **_bounded_relations(session, planning, windows, besides=streamed),
            **remote_relations(session, planning, query, parameters),
        }
        inserted[relation] = provider
        asofs = None
        if query.asofs:
            asofs = AsofJoins(session, planning, query, parameters, inserted, session.world.ordered_context)
            asofs.follow(streamed.call, provider)
            inserted |= asofs.relations
        with inserted_relations(session.relations, inserted):
            frame = session.queries.frame(
                planning, query.body, parameters, session.world.ordered_context, reads_only=True, whole=True
            )  # planned again for each delivery
            shape = shape_of(frame.logical_plan(), relation, streamed.call.position)
            if not streamed.unbounded and shape.joined:
                raise UnboundedResult("a bounded subscribe in a join is a relation")
            translate = planning.translator(query.body)
            context = session.queries.context_for(planning, session.world.ordered_context)
            live = LiveQuery(context, shape, provider, translate, planning, asofs)
        reader, closed = _moment_of(session, planning, streamed)
    try:
        subscription = session.engine.subscriber.open(
            streamed.topic,
            planning.tenant,
            Predicate.match_all(),
            streamed.start,
            until=streamed.until,
            idle_timeout=streamed.idle_timeout,
            reader=reader,
            earliest=streamed.earliest,
        )
    except BaseException:
        closed()
        raise
    subscription.session = session.id
    if streamed.pending is not None:
        subscription.end_after(streamed.pending.microseconds, session.engine.clock)
    if live.filter is not None:
        subscription.description = "" if provider.pushed is None else str(provider.pushed)
        if session.settings.pushdown:
            subscription.pruning_node = live.filter.node
            if not live.filter.columns & set(ENGINE_COLUMNS):
                subscription.want_only(BatchCondition.of(live.filter, streamed.topic.codec.schema))
    session.running.follows(str(subscription.id))
    source = LiveSource(subscription, live, shape.skip, shape.fetch, closed)
    return session.queries.result(source, bounded=_ends(streamed, shape))


def _moment_of(session: Session, planning: Planning, window: _Window) -> tuple[Reader | None, Callable[[], None]]:
    """Where a streamed ``subscribe`` reads, and what to call at its end.

    What is all there when the statement begins is read as of then, whatever is removed meanwhile.
    """
    if window.unbounded:
        return None, _nothing
    head = session.engine.services.log.head(planning.moment, window.topic)
    if window.until is None or window.until >= head.next:
        return planning.reader, _nothing
    planning.segments(window.topic, window.start, window.until + 1)  # their files stay
    planning.retain()
    return planning.moment, planning.release


def _nothing() -> None:
    """Nothing is held."""


def _ends(window: _Window, shape: Shape) -> bool:
    return not window.unbounded or shape.fetch is not None or window.idle_timeout is not None


def _relational(
    session: Session, query: Query, parameters: Mapping[str, pa.Scalar], windows: list[_Window]
) -> BatchResult:
    """The result of a query over bounded subscribes only."""
    windows = [_complete(session, window) for window in windows]  # before the snapshot is taken
    with session.queries.planned(query.words, once=True) as planning:
        inserted = {
            **_bounded_relations(session, planning, windows),
            **remote_relations(session, planning, query, parameters),
        }
        inserted |= asof_relations(session, planning, query, parameters, inserted)
        with inserted_relations(session.relations, inserted):
            frame = session.queries.frame(planning, query.body, parameters, reads_only=True)
            return session.queries.stream(frame, planning, query.body)


def _complete(session: Session, window: _Window) -> _Window:
    """Wait until the last batch of the window is in the log: an aggregate must see it."""
    log = session.engine.services.log
    seen, quiet_since = -1, time.monotonic()
    until = window.until
    while True:
        head = log.head(session.reader, window.topic)
        if window.pending is not None:
            if session.engine.clock.now_us() > window.pending.microseconds:
                until = (
                    log.offset_since(session.reader, window.topic, window.pending.microseconds + 1, session.tenant) - 1
                )
                break
        elif until is not None and head.next > until:
            break
        if head.next != seen:
            seen, quiet_since = head.next, time.monotonic()
        if window.idle_timeout is not None and time.monotonic() - quiet_since >= window.idle_timeout:
            until = head.next - 1
            break
        if session.scope.has_written:
            raise FeatureNotSupported(
                "a transaction that has written cannot wait for batches to come",
                position=window.call.position,
                hint="commit first, or give until => 'latest'",
            )
        session.running.pause(_POLL)
    return replace(window, until=until, pending=None)


def bounded_relations(
    session: Session, planning: Planning, query: Query, parameters: Mapping[str, pa.Scalar]
) -> dict[str, Any]:
    """The relations of the ``subscribe`` calls and the as-of joins of a query whose end must be seen.

    ``UnboundedResult`` for a ``subscribe`` without an end.
    """
    windows = [_window(session, call, parameters) for call in query.subscribes]
    for window in windows:
        if window.unbounded:
            raise refuse_unbounded(window.call.position)
    inserted = {
        **_bounded_relations(session, planning, windows),
        **remote_relations(session, planning, query, parameters),
    }
    return inserted | asof_relations(session, planning, query, parameters, inserted)


def _bounded_relations(
    session: Session, planning: Planning, windows: list[_Window], besides: _Window | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for window in windows:
        if window is not besides and not window.unbounded:
            ready = _complete(session, window)
            assert ready.until is not None
            start = window.start
            if window.earliest:
                start = max(start, session.engine.services.log.head(planning.moment, window.topic).first)
            found[window.call.relation] = session.relations.topic_relation(
                window.topic, planning, (start, max(start, ready.until + 1))
            )
    return found


def describe_subscribing(session: Session, query: Query, parameters: Mapping[str, pa.Scalar]) -> list[tuple[str, str]]:
    """The steps of a query with ``subscribe`` or an as-of join, for EXPLAIN."""
    windows = [_window(session, call, parameters) for call in query.subscribes]
    unbounded = [window for window in windows if window.unbounded]
    with session.queries.planned(query.words) as planning:
        probes = {window.call.relation: LiveProvider(window.topic.codec.schema) for window in windows}
        inserted = {**probes, **remote_relations(session, planning, query, parameters)}
        asofs = AsofJoins(session, planning, query, parameters, inserted, session.world.ordered_context)
        with inserted_relations(session.relations, {**inserted, **asofs.relations}):
            frame = session.queries.frame(
                planning, query.body, parameters, session.world.ordered_context, reads_only=True, whole=True
            )  # planned again for each delivery
            mode = "relation"
            if unbounded or len(windows) == 1:
                streamed = unbounded[0] if unbounded else windows[0]
                try:
                    shape = shape_of(frame.logical_plan(), streamed.call.relation, streamed.call.position)
                    mode = "joined batch by batch" if shape.joined else "streamed"
                except UnboundedResult:
                    if unbounded:
                        raise
            try:
                logical = frame.optimized_logical_plan().display_indent()
                physical = frame.execution_plan().display_indent()
            except Exception as error:
                raise planning.translator(query.body)(error) from error
    lines = []
    for window in windows:
        until = "never" if window.unbounded else "a time to come" if window.pending else str(window.until)
        pushed = probes[window.call.relation].pushed
        lines.append(
            f"Subscribe: {window.topic.name} as {window.call.relation}, from {window.start}, until {until}, {mode}"
            + ("" if pushed is None else f", filter {pushed}")
        )
    lines += [asof.describe() for asof in asofs.joins]
    return [("jammi_plan", "\n".join(lines)), ("logical_plan", logical), ("physical_plan", physical)]
