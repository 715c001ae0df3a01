-- Failures of explorers, kept by the daemon that leads.

-- +goose Up

-- Projection: how often an explorer gave no usable answer, by UTC day and kind of
-- failure.
CREATE TABLE btcwatch.explorer_failure (
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    day         date NOT NULL,
    kind        text NOT NULL, -- rate limited, unavailable, refused, malformed, lying, and what comes
    count       bigint NOT NULL CHECK (count > 0),
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (explorer_id, day, kind)
);

CREATE VIEW report.explorer_failures AS
SELECT e.name AS explorer, f.day, f.kind, f.count, f.last_at
FROM btcwatch.explorer_failure f
JOIN btcwatch.explorer e ON e.id = f.explorer_id;
COMMENT ON VIEW report.explorer_failures IS 'One row an explorer, day (UTC) and kind of failure: requests that got no usable answer, as the leading daemon counted them. No row: none was counted, which is not to say that it was asked.';
COMMENT ON COLUMN report.explorer_failures.kind IS 'What went wrong: rate limited, unavailable (no whole answer), refused, malformed, lying, or a finer name of these.';
COMMENT ON COLUMN report.explorer_failures.count IS 'Requests.';
COMMENT ON COLUMN report.explorer_failures.last_at IS 'When the last of them was noted, to within half a minute.';

-- +goose Down
DROP VIEW report.explorer_failures;
DROP TABLE btcwatch.explorer_failure;
