-- +goose Up
-- Headers from before the first covered block: what a block's time and
-- difficulty may be depends on them.

-- Each is the one that the header above it names, down from the parent of the
-- start's block; only ever inserted, one below the other.
CREATE TABLE btcwatch.ancestor (
    start_id    bigint NOT NULL REFERENCES btcwatch.start, -- whose ancestors
    height      integer NOT NULL CHECK (height >= 0),
    header      bytea NOT NULL CHECK (octet_length(header) = 80),
    explorer_id integer REFERENCES btcwatch.explorer, -- who served it
    at          timestamptz NOT NULL,
    PRIMARY KEY (start_id, height)
);

-- What of the headers before the start was checked, in words; the newest holds.
CREATE TABLE btcwatch.start_checked (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    start_id bigint NOT NULL REFERENCES btcwatch.start, -- with which following began
    words    text NOT NULL,
    at       timestamptz NOT NULL
);

-- What following rests on now: on whose word, and what was checked since.
CREATE VIEW btcwatch.start_now AS
SELECT s.height,
       s.parent_hash,
       s.rests_on || coalesce('; ' || c.words, '') AS rests_on,
       s.proves
FROM (SELECT * FROM btcwatch.start ORDER BY id DESC LIMIT 1) s
LEFT JOIN (
    SELECT c.words
    FROM btcwatch.start_checked c
    JOIN btcwatch.start_begun b ON b.id = c.start_id
    ORDER BY c.id DESC
    LIMIT 1
) c ON true;

-- +goose Down
DROP VIEW btcwatch.start_now;
DROP TABLE
    btcwatch.start_checked,
    btcwatch.ancestor;
