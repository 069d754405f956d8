-- The first half of the transaction of a cancelled flight.
UPDATE carrier_stats SET cancelled = cancelled + 1 WHERE carrier = :carrier;
