-- The store's own bookkeeping.

-- name: migration_table
-- returns: present int64
SELECT count(*) AS present FROM sqlite_master WHERE type = 'table' AND name = 'migration';

-- name: create_migration_table
CREATE TABLE IF NOT EXISTS migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_us INTEGER NOT NULL
);

-- name: applied_migrations
-- returns: number int64, name utf8, checksum utf8
SELECT number, name, checksum FROM migration ORDER BY number;

-- ?1 number, ?2 name, ?3 checksum, ?4 applied_us
-- name: record_migration
INSERT INTO migration (number, name, checksum, applied_us) VALUES (?1, ?2, ?3, ?4);

-- name: application_id
-- returns: application_id int64
PRAGMA application_id;

-- name: journal_mode_wal
-- returns: journal_mode utf8
PRAGMA journal_mode = WAL;

-- name: data_version
-- returns: data_version int64
PRAGMA data_version;

-- name: copy_into
VACUUM INTO ?1;
