-- +goose Up
-- Explorers that were caught in something false are in quarantine until a person
-- clears them or they were clean for long enough; and what explorers may be
-- asked in an hour or a day is counted over restarts.

CREATE TABLE btcwatch.quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    since       timestamptz NOT NULL, -- when it was caught
    reason      text NOT NULL,        -- what was false, in our words
    at          timestamptz NOT NULL
);

CREATE TABLE btcwatch.quarantine_end (
    quarantine_id bigint PRIMARY KEY REFERENCES btcwatch.quarantine,
    at            timestamptz NOT NULL,
    how           text NOT NULL CHECK (how IN ('cleared', 'clean')),
    actor         text CHECK ((actor IS NOT NULL) = (how = 'cleared')),
    reason        text NOT NULL DEFAULT ''
);

-- Projection: how long an explorer in quarantine was seen to be clean.
CREATE TABLE btcwatch.quarantine_now (
    quarantine_id bigint PRIMARY KEY REFERENCES btcwatch.quarantine,
    clean_seconds bigint NOT NULL CHECK (clean_seconds >= 0),
    last_lie_at   timestamptz NOT NULL
);

-- Projection: requests that were sent in the five minutes from at on, of the
-- last day, of explorers that have a budget.
CREATE TABLE btcwatch.explorer_spent (
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    at          timestamptz NOT NULL,
    requests    bigint NOT NULL CHECK (requests >= 0),
    PRIMARY KEY (explorer_id, at)
);

ALTER TABLE btcwatch.explorer_now ADD COLUMN state_since timestamptz; -- null: not judged yet
ALTER TABLE btcwatch.explorer_now ADD COLUMN requests_per_hour bigint; -- null: no such limit
ALTER TABLE btcwatch.explorer_now ADD COLUMN requests_per_day bigint;

CREATE VIEW report.quarantines AS
SELECT e.name AS explorer, q.since, q.reason, n.last_lie_at, n.clean_seconds, d.at AS ended_at, d.how AS ended_how, d.actor AS ended_by, d.reason AS end_reason
FROM btcwatch.quarantine q
JOIN btcwatch.explorer e ON e.id = q.explorer_id
LEFT JOIN btcwatch.quarantine_now n ON n.quarantine_id = q.id
LEFT JOIN btcwatch.quarantine_end d ON d.quarantine_id = q.id;
COMMENT ON VIEW report.quarantines IS 'One row each time an explorer was caught in something false, and when and how it was trusted again.';
COMMENT ON COLUMN report.quarantines.last_lie_at IS 'When the last false thing was seen; null: not written yet.';
COMMENT ON COLUMN report.quarantines.clean_seconds IS 'Seconds for which it was probed since then and nothing false was seen; null: not written yet.';
COMMENT ON COLUMN report.quarantines.ended_at IS 'Null: it lasts.';
COMMENT ON COLUMN report.quarantines.ended_how IS 'cleared: by a person; clean: it was clean for long enough; null: it lasts.';
COMMENT ON COLUMN report.quarantines.ended_by IS 'Who cleared it; null: nobody did.';

-- +goose Down
DROP VIEW report.quarantines;
ALTER TABLE btcwatch.explorer_now DROP COLUMN requests_per_day;
ALTER TABLE btcwatch.explorer_now DROP COLUMN requests_per_hour;
ALTER TABLE btcwatch.explorer_now DROP COLUMN state_since;
DROP TABLE btcwatch.explorer_spent;
DROP TABLE btcwatch.quarantine_now;
DROP TABLE btcwatch.quarantine_end;
DROP TABLE btcwatch.quarantine;
