-- append_batches appends all of what it is given or, where one of the topics is not what the caller takes it for any more,
-- nothing: so that it can be a transaction of its own, without a caller who rolls back.

CREATE OR REPLACE FUNCTION append_batches(
    topics BIGINT[], namespaces TEXT[], names TEXT[], versions BIGINT[], tenants TEXT[], row_counts BIGINT[],
    checksums BIGINT[], all_ranges BYTEA[], payloads BYTEA[], now_us BIGINT[]
) RETURNS TABLE ("offset" BIGINT, produced_us BIGINT) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
BEGIN
    -- In the order of their numbers, so that nobody waits for somebody who waits for him.
    PERFORM FROM topic AS t WHERE t.number = ANY (topics) ORDER BY t.number FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM unnest(topics, namespaces, names, versions) AS g (topic, namespace, name, version)
        LEFT JOIN topic AS t
            ON t.number = g.topic AND t.version = g.version AND t.namespace = g.namespace AND t.name = g.name
        WHERE t.number IS NULL
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT g.*
        FROM unnest(topics, versions, tenants, row_counts, checksums, all_ranges, payloads)
            WITH ORDINALITY AS g (topic, version, tenant, row_count, checksum, ranges, payload, nth)
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
