-- question: The ten worst hours
SELECT
    to_char(time_hour, '%Y-%m-%d %H:00') AS hour_utc,
    count(*) AS flights,
    count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
    round(avg(dep_delay), 1) AS mean_delay
FROM flights
GROUP BY time_hour
HAVING count(*) >= 20 AND count(dep_delay) >= 10
ORDER BY avg(dep_delay) DESC, time_hour
LIMIT 10;

-- question: Delay by carrier, in clear and in bad weather
SELECT
    a.name AS airline,
    count(*) AS flights,
    round(avg(f.dep_delay) FILTER (WHERE w.precip = 0 AND w.visib >= 5), 1) AS clear,
    round(avg(f.dep_delay) FILTER (WHERE w.precip > 0 OR w.visib < 5), 1) AS bad
FROM flights AS f
JOIN airlines AS a ON a.carrier = f.carrier
JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
GROUP BY a.name
ORDER BY flights DESC, airline;

-- question: The most delayed planes by manufacturer
SELECT
    p.manufacturer,
    count(DISTINCT f.tailnum) AS planes,
    count(*) AS flights,
    round(avg(f.dep_delay), 1) AS mean_delay,
    max(f.dep_delay) AS longest
FROM flights AS f
JOIN planes AS p ON p.tailnum = f.tailnum
WHERE f.dep_delay IS NOT NULL
GROUP BY p.manufacturer
HAVING count(*) >= 100
ORDER BY avg(f.dep_delay) DESC, p.manufacturer
LIMIT 8;

-- question: Where late flights go
SELECT
    d.name AS airport,
    count(*) AS late,
    max(f.dep_delay) AS longest
FROM flights AS f
JOIN airports AS d ON d.faa = f.dest
WHERE f.dep_delay > 60
GROUP BY d.name
ORDER BY late DESC, airport
LIMIT 5;

-- question: Who cancels most
SELECT
    a.name AS airline,
    s.cancelled,
    f.flights,
    round(100.0 * s.cancelled / f.flights, 1) AS percent
FROM carrier_stats AS s
JOIN airlines AS a ON a.carrier = s.carrier
JOIN (SELECT carrier, count(*) AS flights FROM flights GROUP BY carrier) AS f ON f.carrier = s.carrier
ORDER BY s.cancelled DESC, airline
LIMIT 5;

-- question: Where cancelled flights would have gone
SELECT d.name AS airport, count(*) AS cancelled, count(DISTINCT a.name) AS airlines
FROM cancellations AS c
JOIN airports AS d ON d.faa = c.dest
JOIN airlines AS a ON a.carrier = c.carrier
GROUP BY d.name
ORDER BY cancelled DESC, airport
LIMIT 5;

-- question: The last five hours in the log
SELECT _offset, min(time_hour) AS hour_utc, count(*) AS flights, sum(distance) AS miles
FROM flights
WHERE _offset >= (SELECT max(_offset) - 4 FROM flights)
GROUP BY _offset
ORDER BY _offset;
