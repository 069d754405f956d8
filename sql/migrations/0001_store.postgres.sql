-- Catalogue and log, in the schema that is first in the connection's search_path.
--
-- What a column means is said in the migrations of SQLite, of which this is the sum. What differs:
-- * a topic's row has the next offset and the time of its newest batch. Who appends changes that row, so its lock is the
--   topic's: the offset is taken under it, and it is held until the commit, so that offset order is commit order;
-- * names are compared by bytes ("C"), whatever the database's collation is;
-- * batch has no foreign key: it would be asked for at each publish, and whoever removes a topic holds its row's lock.

CREATE TABLE namespace (
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE topic (
    number BIGINT PRIMARY KEY,
    uuid TEXT COLLATE "C" NOT NULL UNIQUE,
    tenant TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    metadata TEXT NOT NULL,
    version BIGINT NOT NULL,
    first_offset BIGINT NOT NULL,
    hot_offset BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    UNIQUE (tenant, namespace, name)
) WITH (fillfactor = 50);  -- a publish writes the row anew, beside the old one where there is space: no index changes

CREATE TABLE topic_schema (
    topic BIGINT NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    ipc BYTEA NOT NULL,
    PRIMARY KEY (topic, version)
);

CREATE TABLE batch (
    topic BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    produced_us BIGINT NOT NULL,
    version BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    ranges BYTEA NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (topic, "offset")
);

-- To compress an Arrow message costs more than it saves.
ALTER TABLE batch ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE TABLE companion (
    number BIGINT PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    storage TEXT NOT NULL,
    details TEXT NOT NULL,
    specials TEXT NOT NULL,
    schema_version BIGINT NOT NULL,
    data_version BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    ipc BYTEA NOT NULL,
    UNIQUE (tenant, namespace, name)
) WITH (fillfactor = 50);

CREATE TABLE segment (
    topic BIGINT NOT NULL REFERENCES topic (number) ON DELETE CASCADE,
    first_offset BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    first_us BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    version BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    file_bytes BIGINT NOT NULL,
    footer BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL UNIQUE,
    encoded TEXT NOT NULL,
    tenants TEXT NOT NULL,
    checksum BIGINT NOT NULL,
    ranges BYTEA NOT NULL,
    batches BYTEA NOT NULL,
    PRIMARY KEY (topic, first_offset)
);

CREATE TABLE dropped_segment (
    path TEXT COLLATE "C" PRIMARY KEY,
    dropped_us BIGINT NOT NULL
);

CREATE TABLE facility (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Appends a batch with the next offset of its topic; without a row where the topic is not what the caller takes it for any
-- more: the caller rolls back.
--
-- A function, because its plans are kept: ADBC has a statement planned each time.
CREATE FUNCTION append_batch(
    topic_number BIGINT, topic_namespace TEXT, topic_name TEXT, topic_version BIGINT, tenant TEXT, row_count BIGINT,
    checksum BIGINT, ranges BYTEA, payload BYTEA, now_us BIGINT
) RETURNS TABLE ("offset" BIGINT, produced_us BIGINT) LANGUAGE plpgsql AS $body$
#variable_conflict use_variable
BEGIN
    UPDATE topic AS t SET next_offset = t.next_offset + 1, last_us = greatest(t.last_us, now_us)
    WHERE t.number = topic_number AND t.version = topic_version AND t.namespace = topic_namespace AND t.name = topic_name
    RETURNING t.next_offset - 1, t.last_us INTO "offset", produced_us;
    IF FOUND THEN
        INSERT INTO batch
            (topic, "offset", produced_us, version, row_count, byte_count, checksum, tenant, ranges, payload)
        VALUES (
            topic_number, "offset", produced_us, topic_version, row_count, length(payload), checksum, tenant, ranges, payload
        );
        RETURN NEXT;
    END IF;
END
$body$;

-- The same for several batches, given as arrays of the same length; fewer rows come back where one of the topics is not
-- what the caller takes it for.
CREATE FUNCTION append_batches(
    topics BIGINT[], namespaces TEXT[], names TEXT[], versions BIGINT[], tenants TEXT[], row_counts BIGINT[],
    checksums BIGINT[], all_ranges BYTEA[], payloads BYTEA[], now_us BIGINT[]
) RETURNS TABLE ("offset" BIGINT, produced_us BIGINT) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
BEGIN
    -- In the order of their numbers, so that nobody waits for somebody who waits for him.
    PERFORM FROM topic AS t WHERE t.number = ANY (topics) ORDER BY t.number FOR NO KEY UPDATE;
    RETURN QUERY
    WITH given AS MATERIALIZED (  -- those whose topic is still what they take it for
        SELECT g.*
        FROM unnest(topics, namespaces, names, versions, tenants, row_counts, checksums, all_ranges, payloads)
            WITH ORDINALITY AS g (topic, namespace, name, version, tenant, row_count, checksum, ranges, payload, nth)
        JOIN topic AS t
            ON t.number = g.topic AND t.version = g.version AND t.namespace = g.namespace AND t.name = g.name
    ), counted AS (
        SELECT g.topic AS number, count(*) AS count FROM given AS g GROUP BY g.topic
    ), moved AS (
        UPDATE topic AS t SET next_offset = t.next_offset + c.count, last_us = greatest(t.last_us, now_us[1])
        FROM counted AS c WHERE t.number = c.number
        RETURNING t.number, t.next_offset - c.count AS start, t.last_us AS moment
    ), placed AS MATERIALIZED (
        SELECT g.*, m.start + row_number() OVER (PARTITION BY g.topic ORDER BY g.nth) - 1 AS place, m.moment
        FROM given AS g JOIN moved AS m ON m.number = g.topic
    ), written AS (
        INSERT INTO batch
            (topic, "offset", produced_us, version, row_count, byte_count, checksum, tenant, ranges, payload)
        SELECT
            p.topic, p.place, p.moment, p.version, p.row_count, length(p.payload), p.checksum, p.tenant, p.ranges, p.payload
        FROM placed AS p
    )
    SELECT p.place, p.moment FROM placed AS p ORDER BY p.nth;
END
$body$;
