-- What the other thread listens to while the flights are published; $1 is the last hour's offset.
SELECT _offset, time_hour, carrier, flight, origin, dest, dep_delay
FROM subscribe('flights', from => 'latest', until => $1)
WHERE dep_delay > 60;
