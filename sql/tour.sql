-- A tour of Jammi SQL. Run it on a temporary store:  jammi-sql :memory: -f sql/tour.sql
-- Every statement can be run by itself at the prompt. docs/ has the rest.

-- A topic is a log of events with columns. A publish is one batch with one offset.
CREATE TOPIC orders (
    id BIGINT NOT NULL,
    item VARCHAR NOT NULL COMMENT 'the code in the catalogue',
    quantity INT NOT NULL,
    detail VARCHAR COMMENT 'JSON'
);
INSERT INTO orders VALUES (1, 'nut', 100, '{"colour": "zinc"}'), (2, 'bolt', 5, NULL);
INSERT INTO orders VALUES (3, 'gear', 12, '{"colour": "black", "teeth": 24}') RETURNING _offset, id;
DESCRIBE orders;

-- It is a relation: everything that DataFusion can do works on it.
SELECT _offset, id, item, quantity FROM orders WHERE quantity >= 10 ORDER BY id;
SELECT item, json_get_int(detail, '$.teeth') AS teeth FROM orders WHERE json_exists(detail, 'teeth');

-- A subscription replays from any offset. With `until` it is a bounded relation ...
SELECT item, sum(quantity) AS pieces FROM subscribe('orders', until => 'latest') GROUP BY item ORDER BY item;
-- ... with LIMIT or idle_timeout it ends by itself; without any of them it goes on for ever.
SELECT _offset, item FROM subscribe('orders', from => 1, idle_timeout => INTERVAL '50 milliseconds');

-- Join with what is beside it: tables, tables in memory, Parquet, CSV and JSON files, other topics.
CREATE TEMP TABLE prices AS SELECT * FROM (VALUES ('nut', 0.10), ('bolt', 0.25), ('gear', 7.50)) AS p (item, price);
SELECT o.id, o.item, o.quantity * p.price AS total
FROM subscribe('orders', from => 'earliest') AS o JOIN prices AS p ON p.item = o.item
LIMIT 3;

-- A companion table keeps state beside the events: durable, with keys, and its rows change.
CREATE TABLE stock (item VARCHAR PRIMARY KEY, pieces INT NOT NULL DEFAULT 0, shelf VARCHAR);
INSERT INTO stock (item, pieces) VALUES ('nut', 900), ('gear', 20), ('spring', DEFAULT);
INSERT INTO stock (item, pieces) VALUES ('nut', 50), ('bolt', 80)
ON CONFLICT (item) DO UPDATE SET pieces = stock.pieces + excluded.pieces
RETURNING item, pieces;
UPDATE stock SET shelf = upper(left(item, 1)) WHERE item IN (SELECT item FROM orders) RETURNING item, shelf;
MERGE INTO stock USING (SELECT item, sum(quantity) AS ordered FROM orders GROUP BY item) AS o ON o.item = stock.item
WHEN MATCHED THEN UPDATE SET pieces = stock.pieces - o.ordered
WHEN NOT MATCHED BY SOURCE AND stock.pieces = 0 THEN DELETE;
SELECT item, pieces, shelf FROM stock ORDER BY item;

-- One transaction covers topics and tables. After a rollback nothing of it was ever there, offsets included.
BEGIN;
INSERT INTO orders VALUES (4, 'spring', 40, NULL);
INSERT INTO stock (item, pieces) VALUES ('spring', 60);
SAVEPOINT before_more;
INSERT INTO orders VALUES (5, 'washer', 1, NULL);
DELETE FROM stock;
ROLLBACK TO before_more;
COMMIT;
SELECT max(o._offset) AS newest, count(*) AS orders, (SELECT sum(pieces) FROM stock) AS pieces FROM orders AS o;

-- A new column costs nothing: older batches read as NULL.
ALTER TOPIC orders ADD COLUMN note VARCHAR;
INSERT INTO orders (id, item, quantity, note) VALUES (6, 'nut', 500, 'urgent');
SELECT id, note FROM orders WHERE _offset >= 2 ORDER BY id;

-- Tenants see their own rows and the global ones.
SET tenant = '01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a';
INSERT INTO orders (id, item, quantity) VALUES (7, 'gear', 1);
SELECT count(*) AS seen_by_tenant FROM orders;
RESET tenant;
SELECT count(*) AS seen_without FROM orders;

-- What there is, and how a statement runs.
SHOW TOPICS;
SELECT name, kind, columns, rows FROM jammi.system.tables ORDER BY name;
SELECT name, value FROM jammi.system.settings ORDER BY name;
EXPLAIN SELECT item FROM subscribe('orders') WHERE quantity > 10;
SHOW CREATE TOPIC orders;

-- Forget what is old, and all of it.
TRUNCATE TOPIC orders BEFORE 2;
SELECT min(_offset) AS oldest FROM orders;
TRUNCATE TABLE stock;
DROP TABLE stock;
DROP TOPIC orders;
