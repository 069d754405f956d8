"""What a statement may be."""

from __future__ import annotations

from .calls import Call, Kill
from .changes import CopyFrom, Delete, Insert, Merge, TruncateTable, Update
from .query import Explain, Query
from .schemas import CreateSchema, Describe, DropSchema
from .settings import ResetSetting, ResetTenant, SetSetting, SetTenant, ShowSetting, ShowTenant
from .sources import Attach, Detach, RefreshSource, ShowSources
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
)
from .topics import (
    AlterTopicAddColumn,
    AlterTopicRename,
    AlterTopicReset,
    AlterTopicSet,
    CreateTopic,
    CreateTopicAs,
    DropTopic,
    ShowCreateTopic,
    ShowTopics,
    TruncateTopic,
)
from .transactions import Begin, Commit, Release, Rollback, RollbackTo, Savepoint
from .unsupported import Unsupported

__all__ = ["Statement"]

Statement = (
    Query
    | Explain
    | CreateTopic
    | CreateTopicAs
    | AlterTopicAddColumn
    | AlterTopicSet
    | AlterTopicReset
    | AlterTopicRename
    | Call
    | Kill
    | TruncateTopic
    | DropTopic
    | ShowTopics
    | Describe
    | ShowCreateTopic
    | ShowCreateTable
    | Insert
    | CopyFrom
    | Update
    | Delete
    | Merge
    | TruncateTable
    | CreateTable
    | CreateTableAs
    | CreateCachedTable
    | RefreshTable
    | CreateIndex
    | DropIndex
    | AlterTableAddColumn
    | AlterTableDropColumn
    | AlterTableRenameColumn
    | AlterTableRename
    | DropTable
    | CreateSchema
    | DropSchema
    | Attach
    | Detach
    | ShowSources
    | RefreshSource
    | SetTenant
    | ResetTenant
    | ShowTenant
    | SetSetting
    | ShowSetting
    | ResetSetting
    | Begin
    | Commit
    | Rollback
    | Savepoint
    | RollbackTo
    | Release
    | Unsupported
)
