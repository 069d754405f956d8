-- The store's own bookkeeping.

-- name: migration_table
-- returns: present int64
SELECT count(*) AS present FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'migration';

-- name: create_migration_table
CREATE TABLE IF NOT EXISTS migration (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_us BIGINT NOT NULL
);

-- name: applied_migrations
-- returns: number int64, name utf8, checksum utf8
SELECT number, name, checksum FROM migration ORDER BY number;

-- $1 number, $2 name, $3 checksum, $4 applied_us
-- name: record_migration
INSERT INTO migration (number, name, checksum, applied_us) VALUES ($1, $2, $3, $4);

-- name: server
-- returns: version int64, schemas int64, other_tables int64
SELECT
    current_setting('server_version_num')::BIGINT AS version,
    (SELECT count(*) FROM pg_namespace WHERE nspname = $1) AS schemas,
    (
        SELECT count(*) FROM pg_tables AS t
        WHERE t.schemaname = $1
            AND NOT EXISTS (SELECT 1 FROM pg_tables AS m WHERE m.schemaname = $1 AND m.tablename = 'migration')
    ) AS other_tables;

-- name: commit_mark
-- Differs after every commit that wrote: what was in progress is not any more, or the next number to give out is another.
-- returns: mark int64
SELECT hashtextextended(pg_current_snapshot()::TEXT, 0) AS mark;

-- name: lock_name
-- returns: locked int64
SELECT count(*) AS locked FROM pg_advisory_xact_lock($1);

-- name: claim
-- returns: claimed int64
SELECT pg_try_advisory_lock($1)::INTEGER::BIGINT AS claimed;

-- name: notify
-- A notification is a transaction, for whose commit nobody needs to wait: it is lost with the server, as are its listeners.
-- returns: told int64
SELECT count(*) AS told FROM set_config('synchronous_commit', 'off', true), pg_notify($1, $2);

-- name: at_work
-- Of the server's processes in a JSON list, those that are running something; of one's own role the server tells.
-- returns: process int64
SELECT pid::BIGINT AS process FROM pg_stat_activity
WHERE pid = ANY (translate($1, '[]', '{}')::INTEGER[]) AND state IN ('active', 'fastpath function call');
