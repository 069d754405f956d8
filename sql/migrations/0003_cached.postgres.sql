-- Cached tables: copies of the results of queries, each a file below the store's folder of copies. What a column means is
-- said in the migration of SQLite.

CREATE TABLE cached (
    number BIGINT PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    query TEXT NOT NULL,
    home TEXT NOT NULL,
    folder TEXT COLLATE "C" NOT NULL UNIQUE,
    refresh_us BIGINT NOT NULL,
    topic BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    format TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    file_bytes BIGINT NOT NULL,
    refreshed_us BIGINT NOT NULL,
    seen_offset BIGINT NOT NULL,
    attempted_us BIGINT NOT NULL,
    failure TEXT NOT NULL,
    checksum BIGINT NOT NULL,
    ipc BYTEA NOT NULL,
    UNIQUE (tenant, namespace, name)
);

CREATE TABLE dropped_copy (
    path TEXT COLLATE "C" PRIMARY KEY,
    dropped_us BIGINT NOT NULL
);
