-- +goose Up
-- Payments from before the watch are proven one by one: by a Merkle branch to a
-- header of the chain followed. Where that header is one of a block covered,
-- the branch stands in btcwatch.branch; here stand those to headers from
-- before the start.

CREATE TABLE btcwatch.past_branch (
    tx_id             bigint NOT NULL REFERENCES btcwatch.tx,
    start_id          bigint NOT NULL,
    height            integer NOT NULL,
    index             integer NOT NULL CHECK (index >= 0), -- in the block
    siblings          bytea NOT NULL CHECK (octet_length(siblings) % 32 = 0), -- the lowest first
    coinbase          bytea NOT NULL, -- of the block: says at which depth transactions stand
    coinbase_siblings bytea NOT NULL CHECK (octet_length(coinbase_siblings) = octet_length(siblings)),
    explorer_id       integer REFERENCES btcwatch.explorer, -- who served it
    at                timestamptz NOT NULL,
    PRIMARY KEY (tx_id, start_id, height),
    FOREIGN KEY (start_id, height) REFERENCES btcwatch.ancestor
);

-- +goose Down
DROP TABLE btcwatch.past_branch;
