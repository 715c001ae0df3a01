-- +goose Up

-- A delivery that was folded is carried by a message that sums up: an alert of
-- the type messages.summed with one delivery of its own to the same channel.
ALTER TABLE btcwatch.delivery
    DROP CONSTRAINT delivery_state_check,
    ADD CONSTRAINT delivery_state_check CHECK (state IN ('waiting', 'delivered', 'dead', 'folded')),
    ADD COLUMN carried_by bytea REFERENCES btcwatch.alert, -- of a folded one; null: it is not summed up yet
    ADD CONSTRAINT delivery_carried_check CHECK (carried_by IS NULL OR state = 'folded');
CREATE INDEX delivery_folded ON btcwatch.delivery (channel) WHERE state = 'folded' AND carried_by IS NULL;
CREATE INDEX delivery_carried ON btcwatch.delivery (carried_by) WHERE carried_by IS NOT NULL;
CREATE INDEX alert_of_address ON btcwatch.alert (script_id, opened_at) WHERE script_id IS NOT NULL AND NOT quiet;

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

-- +goose Down
DROP VIEW report.deliveries;
CREATE VIEW report.deliveries AS
SELECT encode(alert_id, 'hex') AS alert_id, channel, state, attempts, last_error, delivered_at, next_at
FROM btcwatch.delivery;
COMMENT ON VIEW report.deliveries IS 'One row an alert and channel; dead: given up after the last try.';
DROP INDEX btcwatch.alert_of_address;
-- What no sum has carried to its end is sent by itself: more messages, and none lost.
UPDATE btcwatch.delivery d
SET state = c.state, delivered_at = c.delivered_at, died_at = c.died_at, last_error = c.last_error, carried_by = NULL
FROM btcwatch.delivery c
WHERE d.state = 'folded'
  AND c.alert_id = d.carried_by
  AND c.channel = d.channel
  AND c.state IN ('delivered', 'dead');
UPDATE btcwatch.delivery SET state = 'waiting', carried_by = NULL WHERE state = 'folded';
ALTER TABLE btcwatch.delivery
    DROP CONSTRAINT delivery_carried_check,
    DROP COLUMN carried_by,
    DROP CONSTRAINT delivery_state_check,
    ADD CONSTRAINT delivery_state_check CHECK (state IN ('waiting', 'delivered', 'dead'));
