-- +goose Up
-- What is found late says so: for that it has to be known when the watch was
-- last at the tip of the chain.

-- When a round last found the chain covered up to the best tip shown.
ALTER TABLE btcwatch.position ADD COLUMN reached_at timestamptz;

-- position.reached_at as it was when a transaction was first known to be in a
-- block: null for what is older than the watch, and where the tip was never
-- reached before.
ALTER TABLE btcwatch.tx_event ADD COLUMN covered_at timestamptz;

-- As the body says; null: in time.
ALTER TABLE btcwatch.alert ADD COLUMN late_seconds bigint;

-- +goose Down
ALTER TABLE btcwatch.alert DROP COLUMN late_seconds;
ALTER TABLE btcwatch.tx_event DROP COLUMN covered_at;
ALTER TABLE btcwatch.position DROP COLUMN reached_at;
