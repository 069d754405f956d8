-- Catalogue of attachments, for PostgreSQL.

-- name: sources_visible
-- returns: tenant utf8, name utf8, kind utf8, uri utf8, options utf8, attached_us int64
SELECT tenant, name, kind, uri, options, attached_us
FROM source
WHERE tenant IN ('', $1)
ORDER BY name, tenant;

-- name: insert_source
INSERT INTO source (tenant, name, kind, uri, options, attached_us) VALUES ($1, $2, $3, $4, $5, $6);

-- name: delete_source
DELETE FROM source WHERE tenant = $1 AND name = $2;
