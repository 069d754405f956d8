"""The statements that the dialect knows, one frozen dataclass each.

The parser produces them from tokens, the planner consumes them. None holds a value from a user's
literal except where the literal is a name or an option: expressions stay text (``Fragment``) and are
evaluated by DataFusion.
"""

from __future__ import annotations

from .calls import Call, Kill
from .changes import (
    Assignment,
    CopyFrom,
    Delete,
    Insert,
    InsertRow,
    Merge,
    MergeClause,
    OnConflict,
    TruncateTable,
    Update,
)
from .fragment import Fragment, Name
from .query import AsofComparison, AsofJoin, Explain, Query, RemoteCall, SubscribeCall
from .schemas import CreateSchema, Describe, DropSchema
from .settings import ResetSetting, ResetTenant, SetSetting, SetTenant, ShowSetting, ShowTenant
from .sources import Attach, Detach, RefreshSource, ShowSources
from .statement import Statement
from .tables import (
    AlterTableAddColumn,
    AlterTableDropColumn,
    AlterTableRename,
    AlterTableRenameColumn,
    CreateCachedTable,
    CreateIndex,
    CreateTable,
    CreateTableAs,
    DropIndex,
    DropTable,
    RefreshTable,
    ShowCreateTable,
    TableColumn,
)
from .topics import (
    AlterTopicAddColumn,
    AlterTopicRename,
    AlterTopicReset,
    AlterTopicSet,
    ColumnDefinition,
    CreateTopic,
    CreateTopicAs,
    DropTopic,
    ShowCreateTopic,
    ShowTopics,
    TruncateTopic,
)
from .transactions import Begin, Commit, Release, Rollback, RollbackTo, Savepoint
from .unsupported import Unsupported

__all__ = [
    "AlterTableAddColumn",
    "AlterTableDropColumn",
    "AlterTableRename",
    "AlterTableRenameColumn",
    "AlterTopicAddColumn",
    "AlterTopicRename",
    "AlterTopicReset",
    "AlterTopicSet",
    "AsofComparison",
    "AsofJoin",
    "Assignment",
    "Attach",
    "Begin",
    "Call",
    "ColumnDefinition",
    "Commit",
    "CopyFrom",
    "CreateCachedTable",
    "CreateIndex",
    "CreateSchema",
    "CreateTable",
    "CreateTableAs",
    "CreateTopic",
    "CreateTopicAs",
    "Delete",
    "Describe",
    "Detach",
    "DropIndex",
    "DropSchema",
    "DropTable",
    "DropTopic",
    "Explain",
    "Fragment",
    "Insert",
    "InsertRow",
    "Kill",
    "Merge",
    "MergeClause",
    "Name",
    "OnConflict",
    "Query",
    "RefreshSource",
    "RefreshTable",
    "Release",
    "RemoteCall",
    "ResetSetting",
    "ResetTenant",
    "Rollback",
    "RollbackTo",
    "Savepoint",
    "SetSetting",
    "SetTenant",
    "ShowCreateTable",
    "ShowCreateTopic",
    "ShowSetting",
    "ShowSources",
    "ShowTenant",
    "ShowTopics",
    "Statement",
    "SubscribeCall",
    "TableColumn",
    "TruncateTable",
    "TruncateTopic",
    "Unsupported",
    "Update",
]
