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

-- That a transaction does not stand in a block, by the block itself: whoever
-- says that it does is not believed again.
CREATE TABLE btcwatch.absence (
    tx_id       bigint NOT NULL REFERENCES btcwatch.tx,
    block_hash  bytea NOT NULL CHECK (octet_length(block_hash) = 32),
    explorer_id integer REFERENCES btcwatch.explorer, -- who served the block
    at          timestamptz NOT NULL,
    PRIMARY KEY (tx_id, block_hash)
);

-- These find the few confirmed transactions that are not proven, and the few
-- debits without an amount or by somebody's word, without reading the many
-- others.
CREATE INDEX tx_now_unproven ON btcwatch.tx_now (height) WHERE state = 'confirmed' AND proof <> 'proven';
CREATE INDEX movement_unknown ON btcwatch.movement (tx_id) WHERE amount IS NULL;
CREATE INDEX movement_stated ON btcwatch.movement (tx_id) WHERE stated;

-- Whether explorers may be asked about a transaction: not if it concerns a
-- confidential address, or one that was when it was retired.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.askable(tx bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM btcwatch.touch u
        JOIN btcwatch.listing l ON l.script_id = u.script_id AND l.confidential
        WHERE u.tx_id = tx
          AND coalesce((SELECT bool_or(f.confidential) FROM btcwatch.listing_now f WHERE f.script_id = u.script_id), true))
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION btcwatch.askable(bigint);
DROP INDEX btcwatch.movement_stated;
DROP INDEX btcwatch.movement_unknown;
DROP INDEX btcwatch.tx_now_unproven;
DROP TABLE btcwatch.absence;
DROP TABLE btcwatch.past_branch;
