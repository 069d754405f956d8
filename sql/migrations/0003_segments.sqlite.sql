-- Sealed stretches of the topics' logs, each a Parquet file below the store's folder of segments.

-- The offset from which on the batches of a topic are rows of batch; those before it are in segments. Rows of batch below
-- it are left over from a compaction, read by nobody, and removed step by step.
ALTER TABLE topic ADD COLUMN hot_offset INTEGER NOT NULL DEFAULT 0;
UPDATE topic SET hot_offset = first_offset;

-- The segments of a topic follow each other without gaps or overlaps, up to its hot_offset. batches comes last: it is
-- read when a segment is opened, the rest whenever segments are looked for.
CREATE TABLE segment (
    topic INTEGER NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    first_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,     -- the offset after its last one
    first_us INTEGER NOT NULL,       -- produced_at of its first batch
    last_us INTEGER NOT NULL,        -- and of its last one
    version INTEGER NOT NULL,        -- of topic_schema, whose columns the file has
    row_count INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    footer INTEGER NOT NULL,         -- checksum of the file's footer
    path TEXT NOT NULL UNIQUE,       -- below the folder of segments
    encoded TEXT NOT NULL,           -- JSON list: columns of types that Parquet lacks, kept in an encoding
    tenants TEXT NOT NULL,           -- JSON list of pairs: tenant and rows
    checksum INTEGER NOT NULL,       -- of batches
    ranges BLOB NOT NULL,            -- least and greatest value per column
    batches BLOB NOT NULL,           -- Arrow stream: rows, time and tenant of each batch
    PRIMARY KEY (topic, first_offset)
) WITHOUT ROWID;

-- Files that belong to no segment any more, until nobody reads them.
CREATE TABLE dropped_segment (
    path TEXT PRIMARY KEY,
    dropped_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What the store is set up with: where its segments are.
CREATE TABLE facility (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
