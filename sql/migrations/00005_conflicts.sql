-- +goose Up
-- What spends the same money: replacements, and transactions that vanish.

-- Finds the few unconfirmed transactions without reading the many others.
CREATE INDEX tx_now_unconfirmed ON btcwatch.tx_now (tx_id) WHERE state = 'unconfirmed';

-- Which transaction took another's place, and who says so: an explorer, or the
-- followed block that holds it. The replacement need not be recorded itself.
CREATE TABLE btcwatch.replacement (
    tx_id       bigint NOT NULL REFERENCES btcwatch.tx,
    turn        integer NOT NULL,
    by_txid     bytea NOT NULL CHECK (octet_length(by_txid) = 32),
    explorer_id integer REFERENCES btcwatch.explorer,
    block_id    bigint REFERENCES btcwatch.block,
    at          timestamptz NOT NULL,
    PRIMARY KEY (tx_id, turn)
);

-- The payment with which a payment's thread began, where it came to replace an
-- earlier one at the same address.
CREATE TABLE btcwatch.thread_root (
    script_id  bigint NOT NULL REFERENCES btcwatch.script,
    tx_id      bigint NOT NULL REFERENCES btcwatch.tx,
    root_tx_id bigint NOT NULL REFERENCES btcwatch.tx,
    PRIMARY KEY (script_id, tx_id)
);

-- Projection: when explorers last knew an unconfirmed transaction, and since
-- when none does.
CREATE TABLE btcwatch.known_now (
    tx_id         bigint PRIMARY KEY REFERENCES btcwatch.tx,
    asked_at      timestamptz NOT NULL,
    missing_since timestamptz
);

-- +goose Down
DROP TABLE btcwatch.known_now;
DROP TABLE btcwatch.thread_root;
DROP TABLE btcwatch.replacement;
DROP INDEX btcwatch.tx_now_unconfirmed;
