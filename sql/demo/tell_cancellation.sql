-- The second half: the columns of cancelled_flights.sql.
INSERT INTO cancellations VALUES (?, ?, ?, ?, ?);
