-- +goose Up
-- An address that is watched only to test the watch. Nothing of it is a fact
-- about a watched address: it is kept apart from the record, is not in the
-- journal, and is deleted after some days.

-- One row at most: the canary of the configuration, as the leader read it.
CREATE TABLE btcwatch.canary (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    script     bytea NOT NULL,
    address    text NOT NULL,
    since      timestamptz NOT NULL,
    waited     double precision NOT NULL DEFAULT 0, -- seconds in which blocks were followed since a payment came through
    arrived_at timestamptz, -- when one came through last; null: none has yet
    listed_at  timestamptz  -- when an explorer last listed all that was unconfirmed at it; null: none has
);

-- Its unconfirmed payments, as listed; bounded, and forgotten after a day.
CREATE TABLE btcwatch.canary_sight (
    txid     bytea PRIMARY KEY CHECK (octet_length(txid) = 32),
    explorer text NOT NULL,
    at       timestamptz NOT NULL
);

-- A payment on its way through the watch, with the alert that it makes: id, seq,
-- thread and body are as in btcwatch.alert.
CREATE TABLE btcwatch.canary_payment (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    seq         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    thread      text NOT NULL DEFAULT '',
    body        bytea NOT NULL,
    script      bytea NOT NULL,
    address     text NOT NULL,
    txid        bytea NOT NULL UNIQUE CHECK (octet_length(txid) = 32),
    amount      bigint NOT NULL CHECK (amount BETWEEN 0 AND 2100000000000000),
    proof       text NOT NULL,
    height      integer NOT NULL,
    block_hash  bytea NOT NULL CHECK (octet_length(block_hash) = 32),
    block_time  timestamptz NOT NULL,
    explorer    text NOT NULL, -- who served the block
    unconfirmed boolean, -- was it seen unconfirmed before; null: not known
    seen_at     timestamptz,
    seen_by     text,
    verified_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    arrived_at  timestamptz -- at the end of the road; null: not yet
);
CREATE INDEX canary_payment_recorded ON btcwatch.canary_payment (recorded_at);

-- Its queue: the columns are those of btcwatch.delivery, and so are the
-- statements that work it.
CREATE TABLE btcwatch.canary_delivery (
    alert_id     bytea NOT NULL REFERENCES btcwatch.canary_payment ON DELETE CASCADE,
    channel      text NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts     integer NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL,
    lease        bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    claimed_by   bigint,
    last_error   text,
    delivered_at timestamptz,
    died_at      timestamptz,
    PRIMARY KEY (alert_id, channel)
);

-- canary: no payment of it has come through for too long.
ALTER TABLE btcwatch.outage DROP CONSTRAINT outage_kind_check;
ALTER TABLE btcwatch.outage ADD CONSTRAINT outage_kind_check CHECK (kind IN (
    'explorer', 'channel', 'chain', 'blocks', 'mempool', 'tip', 'quiet', 'backlog', 'schedule', 'delivery', 'canary'));

CREATE VIEW report.canary AS
SELECT p.address,
       btcwatch.display(p.txid) AS txid,
       p.amount AS amount_sat,
       p.amount / 100000000.0 AS amount_btc,
       p.proof,
       p.height AS block_height,
       btcwatch.display(p.block_hash) AS block_hash,
       p.block_time,
       EXISTS (
           SELECT
           FROM btcwatch.block b
           JOIN btcwatch.chain_now n ON n.block_id = b.id
           WHERE b.hash = p.block_hash) AS on_chain,
       p.explorer AS served_by,
       p.unconfirmed AS seen_unconfirmed,
       p.seen_at,
       p.seen_by,
       p.verified_at,
       p.recorded_at,
       p.arrived_at AS delivered_at,
       extract(epoch FROM p.arrived_at - p.verified_at)::double precision AS took_seconds
FROM btcwatch.canary_payment p;
COMMENT ON VIEW report.canary IS 'Payments of the canary, an address that is watched only to test the watch and is accused of nothing: a few an hour at most, kept for a week. In no other view';
COMMENT ON COLUMN report.canary.address IS 'The address of [canary] in the configuration, when the payment was recorded';
COMMENT ON COLUMN report.canary.txid IS 'Of the transaction, in hex as explorers show it';
COMMENT ON COLUMN report.canary.amount_sat IS 'What the transaction pays to the canary, in satoshis';
COMMENT ON COLUMN report.canary.amount_btc IS 'The same in bitcoin';
COMMENT ON COLUMN report.canary.proof IS 'Grade of its block when it was recorded: proven or reported';
COMMENT ON COLUMN report.canary.block_height IS 'Height of the block that it was found in';
COMMENT ON COLUMN report.canary.block_hash IS 'Hash of that block';
COMMENT ON COLUMN report.canary.block_time IS 'Time that the miner gave that block, UTC';
COMMENT ON COLUMN report.canary.on_chain IS 'False: that block has left the chain since';
COMMENT ON COLUMN report.canary.served_by IS 'Explorer that gave the block';
COMMENT ON COLUMN report.canary.seen_unconfirmed IS 'Whether an explorer listed it as unconfirmed before; false: a complete list since the block before did not have it; null: not known, for nobody was asked, or the list was cut off';
COMMENT ON COLUMN report.canary.seen_at IS 'When it was first seen unconfirmed; null: it was not, or it is not known';
COMMENT ON COLUMN report.canary.seen_by IS 'Explorer that listed it then; null as seen_at';
COMMENT ON COLUMN report.canary.verified_at IS 'When the block was verified here';
COMMENT ON COLUMN report.canary.recorded_at IS 'When the block was recorded';
COMMENT ON COLUMN report.canary.delivered_at IS 'When it came to the end of the road, where a channel would have taken it; null: it has not';
COMMENT ON COLUMN report.canary.took_seconds IS 'From verified_at to delivered_at; null while delivered_at is';

-- +goose Down
DROP VIEW report.canary;
DELETE FROM btcwatch.outage_end WHERE outage_id IN (SELECT id FROM btcwatch.outage WHERE kind = 'canary');
DELETE FROM btcwatch.outage WHERE kind = 'canary';
ALTER TABLE btcwatch.outage DROP CONSTRAINT outage_kind_check;
ALTER TABLE btcwatch.outage ADD CONSTRAINT outage_kind_check CHECK (kind IN (
    'explorer', 'channel', 'chain', 'blocks', 'mempool', 'tip', 'quiet', 'backlog', 'schedule', 'delivery'));
DROP TABLE btcwatch.canary_delivery;
DROP TABLE btcwatch.canary_payment;
DROP TABLE btcwatch.canary_sight;
DROP TABLE btcwatch.canary;
