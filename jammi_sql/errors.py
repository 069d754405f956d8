"""The PEP 249 exception tree of Jammi SQL.

Every error that reaches a user is one of these classes. Each carries

``sqlstate``
    five characters, after the SQL standard and PostgreSQL's appendix A;
``position``
    zero-based index of a character in the statement text, or ``None`` where there is no place to name;
``hint``
    what to write or do instead, or ``None``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ActiveTransaction",
    "AppendOnlyTopic",
    "BatchSchemaMismatch",
    "BrokerUnavailable",
    "ConnectionClosed",
    "ConnectionLost",
    "DataCorrupted",
    "DataError",
    "DatabaseError",
    "DiskFull",
    "DriverError",
    "DuplicateObject",
    "Error",
    "FailedTransaction",
    "FeatureNotSupported",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "InvalidParameter",
    "InvalidTextRepresentation",
    "LockNotAvailable",
    "NoActiveTransaction",
    "NotNullViolation",
    "NotSupportedError",
    "NumericValueOutOfRange",
    "OffsetEvicted",
    "OperationalError",
    "PermissionDenied",
    "PredicateParse",
    "PredicateUnsupported",
    "ProgrammingError",
    "PublishTenantMismatch",
    "QueryCanceled",
    "ReadOnlyStore",
    "ReservedName",
    "SchemaConflict",
    "SerializationFailure",
    "StatementSyntaxError",
    "StatementTooComplex",
    "StoreIOError",
    "StoreVersionError",
    "TopicNotFound",
    "TriggerError",
    "UnboundedResult",
    "UndefinedColumn",
    "UndefinedFunction",
    "UndefinedObject",
    "UndefinedTable",
    "UniqueViolation",
    "Warning",
]


class Warning(Exception):  # noqa: A001 - PEP 249 fixes the name
    """Important warnings; PEP 249 asks for the class, nothing raises it today."""


class Error(Exception):
    """Base of every error of this package."""

    default_sqlstate: ClassVar[str] = "HY000"

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        position: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate or self.default_sqlstate
        self.position = position
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class InterfaceError(Error):
    """Misuse of the Python interface itself, such as a closed cursor."""

    default_sqlstate = "08003"


class DatabaseError(Error):
    """Whatever concerns the database."""


class DataError(DatabaseError):
    """A value that cannot be what it must be."""

    default_sqlstate = "22000"


class OperationalError(DatabaseError):
    """The database's operation failed, through no fault of the statement."""

    default_sqlstate = "58000"


class IntegrityError(DatabaseError):
    """A constraint would be broken."""

    default_sqlstate = "23000"


class InternalError(DatabaseError):
    """The database found itself in a state that it does not expect."""

    default_sqlstate = "XX000"


class ProgrammingError(DatabaseError):
    """The statement is wrong."""

    default_sqlstate = "42000"


class NotSupportedError(DatabaseError):
    """The statement asks for what this database does not do."""

    default_sqlstate = "0A000"


# --- statements ---------------------------------------------------------------------------------


class StatementSyntaxError(ProgrammingError):
    """The text is not a statement."""

    default_sqlstate = "42601"


class StatementTooComplex(ProgrammingError, OperationalError):
    """Planning the statement would take minutes, or end the process: a chain is too long, or nesting too deep."""

    default_sqlstate = "54001"


class UndefinedTable(ProgrammingError):
    """A topic, table or view that does not exist, or that this tenant may not see."""

    default_sqlstate = "42P01"


class UndefinedColumn(ProgrammingError):
    """A column that does not exist."""

    default_sqlstate = "42703"


class UndefinedFunction(ProgrammingError):
    """A function that does not exist, or not with these arguments."""

    default_sqlstate = "42883"


class UndefinedObject(ProgrammingError):
    """A setting, savepoint or schema that does not exist."""

    default_sqlstate = "42704"


class DuplicateObject(ProgrammingError):
    """The name is taken."""

    default_sqlstate = "42P07"


class AppendOnlyTopic(ProgrammingError):
    """UPDATE, DELETE or MERGE on a topic."""

    default_sqlstate = "42809"


class ReservedName(ProgrammingError):
    """A name that belongs to the engine."""

    default_sqlstate = "42939"


class InvalidParameter(ProgrammingError):
    """A parameter or option whose value or number is wrong."""

    default_sqlstate = "22023"


class PermissionDenied(ProgrammingError):
    """The session's tenant may not do this."""

    default_sqlstate = "42501"


class ActiveTransaction(ProgrammingError):
    """BEGIN inside a transaction."""

    default_sqlstate = "25001"


class NoActiveTransaction(ProgrammingError):
    """COMMIT, ROLLBACK or SAVEPOINT outside a transaction."""

    default_sqlstate = "25P01"


class FailedTransaction(ProgrammingError):
    """The transaction was lost; only ROLLBACK is accepted."""

    default_sqlstate = "25P02"


class FeatureNotSupported(NotSupportedError):
    """A statement or option that is not built."""


class UnboundedResult(NotSupportedError):
    """The end of a result was asked for that never ends."""


# --- data ---------------------------------------------------------------------------------------


class NumericValueOutOfRange(DataError):
    """A number outside the range of its type, or a division by zero."""

    default_sqlstate = "22003"


class InvalidTextRepresentation(DataError):
    """Text that cannot be cast to the type."""

    default_sqlstate = "22P02"


class NotNullViolation(IntegrityError):
    """NULL in a column that is NOT NULL."""

    default_sqlstate = "23502"


class UniqueViolation(IntegrityError):
    """A key that exists already."""

    default_sqlstate = "23505"


# --- operation ----------------------------------------------------------------------------------


class LockNotAvailable(OperationalError):
    """The store stayed locked for longer than the limit."""

    default_sqlstate = "55P03"


class SerializationFailure(OperationalError):
    """The transaction lost against another one; run it again."""

    default_sqlstate = "40001"


class QueryCanceled(OperationalError):
    """The statement was cancelled, or ran into its time limit."""

    default_sqlstate = "57014"


class ConnectionClosed(InterfaceError):
    """The connection, cursor or engine was closed."""


class ConnectionLost(OperationalError):
    """The connection to the store was lost, or could not be made (08001); nothing was committed by it."""

    default_sqlstate = "08006"


class BrokerUnavailable(OperationalError):
    """The broker cannot be reached; publishes still commit."""

    default_sqlstate = "08006"


class StoreIOError(OperationalError):
    """The store's files cannot be read or written."""

    default_sqlstate = "58030"


class DiskFull(OperationalError):
    """No space left for the store."""

    default_sqlstate = "53100"


class ReadOnlyStore(OperationalError):
    """A write to a store that was opened, or is mounted, read-only."""

    default_sqlstate = "25006"


class StoreVersionError(OperationalError):
    """The store was written by a newer version of this package, or is no store at all."""

    default_sqlstate = "55000"


class DataCorrupted(InternalError):
    """A stored batch or catalogue row fails its checksum."""

    default_sqlstate = "XX001"


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is run again from its beginning."""
    return isinstance(error, (SerializationFailure, ConnectionLost))


# --- topics -------------------------------------------------------------------------------------


class TriggerError(Error):
    """Base of the errors of topics, publishers and subscribers."""


class BatchSchemaMismatch(TriggerError, ProgrammingError):
    """A published batch does not have the topic's columns; says which column, and how it differs."""

    default_sqlstate = "42804"


class SchemaConflict(TriggerError, ProgrammingError):
    """The topic exists with another schema."""

    default_sqlstate = "42804"


class TopicNotFound(TriggerError, UndefinedTable):
    """No such topic for this tenant."""

    default_sqlstate = "42P01"


class PublishTenantMismatch(TriggerError, PermissionDenied):
    """A publish under another tenant than the topic's own.

    ``topic`` is its name, ``topic_tenant`` and ``publish_tenant`` are ``TenantId`` or ``None``.
    """

    default_sqlstate = "42501"

    def __init__(self, topic: str, topic_tenant: object, publish_tenant: object) -> None:
        super().__init__(
            f"topic {topic} belongs to tenant {topic_tenant}, the publish came under "
            f"{publish_tenant if publish_tenant is not None else 'no tenant'}",
            hint="publish under the topic's own tenant, or register the topic without one",
        )
        self.topic = topic
        self.topic_tenant = topic_tenant
        self.publish_tenant = publish_tenant


class PredicateParse(TriggerError, StatementSyntaxError):
    """The predicate is not a SQL expression over the topic's columns."""

    default_sqlstate = "42601"


class PredicateUnsupported(TriggerError, NotSupportedError):
    """The predicate holds a sub-query, an aggregate or a window function."""

    default_sqlstate = "0A000"


class OffsetEvicted(TriggerError, OperationalError):
    """The offset is older than what retention kept. ``oldest`` is the oldest one that is there."""

    default_sqlstate = "22023"

    def __init__(self, topic: str, requested: int, oldest: int) -> None:
        super().__init__(
            f"offset {requested} of topic {topic} is gone: the oldest kept is {oldest}",
            hint=f"subscribe from 'earliest' or from offset {oldest}",
        )
        self.topic = topic
        self.requested = requested
        self.oldest = oldest


class DriverError(TriggerError, BrokerUnavailable):
    """The broker's driver failed."""

    default_sqlstate = "08006"
