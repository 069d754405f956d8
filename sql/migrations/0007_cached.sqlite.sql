-- Cached tables: copies of the results of queries, each a file below the store's folder of copies.

-- A number is never used again, for the reasons that a topic's is not.
CREATE TABLE cached (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,            -- whose eyes the query is run with
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    home TEXT NOT NULL,              -- the schema in which the query's names without one are looked up
    folder TEXT NOT NULL UNIQUE,     -- of its files, below the folder of copies
    refresh_us INTEGER NOT NULL,     -- age at which the copy is made anew; 0: never by itself
    topic INTEGER NOT NULL,          -- it is made anew when this one has new batches; -1: none
    created_us INTEGER NOT NULL,
    path TEXT NOT NULL,              -- the copy
    format TEXT NOT NULL,            -- parquet, or arrow for types that Parquet lacks
    row_count INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    refreshed_us INTEGER NOT NULL,   -- when the query of this copy began
    seen_offset INTEGER NOT NULL,    -- the next offset of the topic then
    attempted_us INTEGER NOT NULL,   -- when the last refresh ended, whatever became of it
    failure TEXT NOT NULL,           -- of the last refresh; empty where it went well
    checksum INTEGER NOT NULL,       -- of ipc
    ipc BLOB NOT NULL,               -- Arrow schema message
    UNIQUE (tenant, namespace, name)
);

-- Files that are no table's copy any more, until nobody reads them.
CREATE TABLE dropped_copy (
    path TEXT PRIMARY KEY,
    dropped_us INTEGER NOT NULL
) WITHOUT ROWID;
