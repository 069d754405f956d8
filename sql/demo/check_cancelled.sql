-- The carriers whose count in the table is not the number of their events in the topic: none.
SELECT coalesce(s.carrier, c.carrier) AS carrier, s.cancelled AS counted, c.events
FROM carrier_stats AS s
FULL JOIN (SELECT carrier, count(*) AS events FROM cancellations GROUP BY carrier) AS c ON c.carrier = s.carrier
WHERE coalesce(s.cancelled, -1) <> coalesce(c.events, 0);
