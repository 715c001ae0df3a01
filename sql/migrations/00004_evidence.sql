-- +goose Up
-- What proves to others that a transaction stands in a block. The ids of a
-- block's other transactions are not kept, so that it is made when the block is
-- recorded. Both tables are facts.

-- The hashes beside the way from a transaction to the Merkle root, the lowest
-- first, 32 bytes each.
CREATE TABLE btcwatch.branch (
    block_id bigint NOT NULL REFERENCES btcwatch.block,
    tx_id    bigint NOT NULL REFERENCES btcwatch.tx,
    siblings bytea NOT NULL CHECK (octet_length(siblings) % 32 = 0),
    PRIMARY KEY (block_id, tx_id)
);

-- The coinbase of each block that holds a watched transaction: it says the
-- height, and at which depth transactions stand.
CREATE TABLE btcwatch.coinbase (
    block_id bigint PRIMARY KEY REFERENCES btcwatch.block,
    raw      bytea NOT NULL,
    siblings bytea NOT NULL CHECK (octet_length(siblings) % 32 = 0)
);

-- +goose Down
DROP TABLE
    btcwatch.coinbase,
    btcwatch.branch;
