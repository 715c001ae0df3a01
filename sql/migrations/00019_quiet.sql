-- +goose Up
-- A message to people may wait for three reasons: there are too many of its
-- address (burst), its listing says digest, or the hours of its channel are quiet.

ALTER TABLE btcwatch.delivery
    ADD COLUMN held_for text CHECK (held_for IN ('burst', 'digest', 'quiet')), -- why it was not sent at once; null: it was
    ADD COLUMN due_at   timestamptz; -- when it is summed up, or goes by itself
UPDATE btcwatch.delivery d
SET held_for = 'burst', due_at = a.opened_at + interval '1 hour'
FROM btcwatch.alert a
WHERE a.id = d.alert_id
  AND d.state = 'folded';
ALTER TABLE btcwatch.delivery
    ADD CONSTRAINT delivery_held_check CHECK ((held_for IS NULL) = (due_at IS NULL) AND (state <> 'folded' OR held_for IS NOT NULL));

DROP VIEW report.deliveries;
CREATE VIEW report.deliveries AS
SELECT encode(d.alert_id, 'hex') AS alert_id,
       d.channel,
       CASE WHEN d.state = 'folded' THEN coalesce(c.state, 'waiting') ELSE d.state END AS state,
       CASE WHEN d.state = 'folded' THEN coalesce(c.attempts, 0) ELSE d.attempts END AS attempts,
       CASE WHEN d.state = 'folded' THEN c.last_error ELSE d.last_error END AS last_error,
       CASE WHEN d.state = 'folded' THEN c.delivered_at ELSE d.delivered_at END AS delivered_at,
       CASE WHEN d.state = 'folded' THEN coalesce(c.next_at, d.due_at) ELSE d.next_at END AS next_at,
       d.state = 'folded' AS summed,
       encode(d.carried_by, 'hex') AS carried_by,
       d.held_for,
       d.due_at
FROM btcwatch.delivery d
LEFT JOIN btcwatch.delivery c ON c.alert_id = d.carried_by AND c.channel = d.channel;
COMMENT ON VIEW report.deliveries IS 'One row an alert and channel; dead: given up after the last try. Of one that was summed up the columns say how the message fares that carries it.';
COMMENT ON COLUMN report.deliveries.summed IS 'Whether the alert goes into a message that sums several up.';
COMMENT ON COLUMN report.deliveries.carried_by IS 'The id of that message, which is an alert of the type messages.summed; null: of none, or it is not made yet.';
COMMENT ON COLUMN report.deliveries.held_for IS 'Why it was not sent at once: burst (more of its address within an hour than [alerts] burst), digest (its listing says so), quiet (the channel had quiet hours); null: it was.';
COMMENT ON COLUMN report.deliveries.due_at IS 'Until when it was to wait for that (UTC); null: it was not.';

-- +goose Down
DROP VIEW report.deliveries;
CREATE VIEW report.deliveries AS
SELECT encode(d.alert_id, 'hex') AS alert_id,
       d.channel,
       CASE WHEN d.state = 'folded' THEN coalesce(c.state, 'waiting') ELSE d.state END AS state,
       CASE WHEN d.state = 'folded' THEN coalesce(c.attempts, 0) ELSE d.attempts END AS attempts,
       CASE WHEN d.state = 'folded' THEN c.last_error ELSE d.last_error END AS last_error,
       CASE WHEN d.state = 'folded' THEN c.delivered_at ELSE d.delivered_at END AS delivered_at,
       CASE WHEN d.state = 'folded' THEN coalesce(c.next_at, d.next_at) ELSE d.next_at END AS next_at,
       d.state = 'folded' AS summed,
       encode(d.carried_by, 'hex') AS carried_by
FROM btcwatch.delivery d
LEFT JOIN btcwatch.delivery c ON c.alert_id = d.carried_by AND c.channel = d.channel;
COMMENT ON VIEW report.deliveries IS 'One row an alert and channel; dead: given up after the last try. Of one that was summed up the columns say how the message fares that carries it.';
COMMENT ON COLUMN report.deliveries.summed IS 'Whether the alert goes into a message that sums several up, because there were more of its address within an hour than [alerts] burst.';
COMMENT ON COLUMN report.deliveries.carried_by IS 'The id of that message, which is an alert of the type messages.summed; null: of none, or it is not made yet.';
ALTER TABLE btcwatch.delivery
    DROP COLUMN held_for,
    DROP COLUMN due_at;
