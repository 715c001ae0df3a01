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

CREATE OR REPLACE VIEW report.explorers AS
SELECT e.name, n.kind, n.operator, n.state, n.tip_height, n.last_success_at, n.last_error, n.last_error_at, n.failovers,
       n.state_since, q.since AS quarantined_since, q.reason AS quarantine_reason,
       CASE WHEN n.requests_per_hour IS NOT NULL THEN greatest(0, n.requests_per_hour - s.hour)::bigint END AS left_this_hour,
       CASE WHEN n.requests_per_day IS NOT NULL THEN greatest(0, n.requests_per_day - s.day)::bigint END AS left_this_day
FROM btcwatch.explorer e
JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
LEFT JOIN LATERAL (
    SELECT q.since, q.reason
    FROM btcwatch.quarantine q
    WHERE q.explorer_id = e.id
      AND NOT EXISTS (SELECT FROM btcwatch.quarantine_end d WHERE d.quarantine_id = q.id)
    ORDER BY q.id DESC
    LIMIT 1
) q ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.requests) FILTER (WHERE s.at > now() - interval '1 hour 5 minutes'), 0) AS hour,
           coalesce(sum(s.requests) FILTER (WHERE s.at > now() - interval '1 day 5 minutes'), 0) AS day
    FROM btcwatch.explorer_spent s
    WHERE s.explorer_id = e.id
) s
WHERE n.configured;
COMMENT ON VIEW report.explorers IS 'One row a configured explorer and how the leading daemon found it last.';
COMMENT ON COLUMN report.explorers.state IS
'The first that applies: lying: in quarantine, or its last answer of a sort was false; limited: it asked for patience, or its budget is used up; failing: its answers are bad; stale: it shows the same tip for stale_after, two or more blocks below the chain that is verified here; lagging: two or more blocks below it for lagging_after; ok. Tips that are only claimed measure nothing.';
COMMENT ON COLUMN report.explorers.state_since IS 'Since when it is known to be in this state; null: not judged yet.';
COMMENT ON COLUMN report.explorers.tip_height IS 'Height that it showed last, as it says; null: never any.';
COMMENT ON COLUMN report.explorers.quarantined_since IS 'When it was caught in something false, and is not believed since; null: it is in no quarantine.';
COMMENT ON COLUMN report.explorers.quarantine_reason IS 'What was false; null: it is in no quarantine.';
COMMENT ON COLUMN report.explorers.left_this_hour IS 'Requests that its budget leaves in this hour, as counted by the daemon; null: requests_per_hour is not set.';
COMMENT ON COLUMN report.explorers.left_this_day IS 'Requests that its budget leaves in this day, as counted by the daemon; null: requests_per_day is not set.';

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
DROP VIEW report.explorers;
CREATE VIEW report.explorers AS
SELECT e.name, n.kind, n.operator, n.state, n.tip_height, n.last_success_at, n.last_error, n.last_error_at, n.failovers
FROM btcwatch.explorer e
JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
WHERE n.configured;
COMMENT ON VIEW report.explorers IS 'One row a configured explorer and how it did last.';
ALTER TABLE btcwatch.explorer_now DROP COLUMN requests_per_day;
ALTER TABLE btcwatch.explorer_now DROP COLUMN requests_per_hour;
ALTER TABLE btcwatch.explorer_now DROP COLUMN state_since;
DROP TABLE btcwatch.explorer_spent;
DROP TABLE btcwatch.quarantine_now;
DROP TABLE btcwatch.quarantine_end;
DROP TABLE btcwatch.quarantine;
