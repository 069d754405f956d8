-- The flights that never left, in the order of the log.
SELECT time_hour, carrier, flight, origin, dest
FROM subscribe('flights', from => 'earliest', until => 'latest')
WHERE dep_time IS NULL;
