-- +goose Up
-- The record. Facts are only ever inserted; what may be rewritten is named a
-- projection and can be derived from the facts again. Hashes are 32 bytes in
-- internal order, amounts satoshis, times UTC.
--
-- The tables that grow with the transactions (tx_input, tx_output,
-- stated_output, observation, tx_event, tx_now, touch, movement, pending) have no
-- foreign keys: their rows are written in the commit that writes what they
-- point to, and checking that again for each would cost as much as storing
-- them. A test checks it over the whole record instead.

CREATE SCHEMA IF NOT EXISTS btcwatch;

-- One row: whose database this is.
CREATE TABLE btcwatch.installation (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    network    text NOT NULL,
    alert_key  bytea NOT NULL CHECK (octet_length(alert_key) = 32), -- makes alert ids
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Projection, one row: how far the chain is covered and who may write. Every
-- transaction that records a fact begins by locking it.
CREATE TABLE btcwatch.position (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch        bigint NOT NULL DEFAULT 0, -- raised by each new leader
    height       integer,                   -- last covered block; null before the start
    hash         bytea CHECK (octet_length(hash) = 32),
    bits         bigint,                    -- of that block; null when it was not verified here
    list_version bigint NOT NULL DEFAULT 0, -- raised by each change of the list
    moved_at     timestamptz
);

-- What following began with, began again with, or was put on, and on whose word.
CREATE TABLE btcwatch.start (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    height      integer NOT NULL, -- the first block covered
    parent_hash bytea NOT NULL CHECK (octet_length(parent_hash) = 32),
    rests_on    text NOT NULL,
    proves      boolean NOT NULL, -- false: nothing that follows is graded better than reported
    begins      boolean NOT NULL DEFAULT true, -- false: the blocks go on as before, on a better footing
    fork        integer, -- what was covered before holds up to there; null: nothing was covered before
    pinned      bytea CHECK (octet_length(pinned) = 32), -- of the block at that height, where a person vouches for it
    at          timestamptz NOT NULL
);

-- A script is its bytes; every output and every stated previous output has one.
CREATE TABLE btcwatch.script (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256  bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    script  bytea NOT NULL,
    address text -- null where the script has no address
);
CREATE INDEX script_address ON btcwatch.script USING hash (address);

-- One change of the list: a reload of the configuration, a command.
CREATE TABLE btcwatch.import (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text NOT NULL, -- config, command
    actor  text NOT NULL DEFAULT '',
    at     timestamptz NOT NULL
);

-- That the change was told: its history is read, or was waited for long enough.
CREATE TABLE btcwatch.import_told (
    import_id bigint PRIMARY KEY REFERENCES btcwatch.import,
    at        timestamptz NOT NULL
);

-- Listings are never changed: a new row supersedes the one before, and a
-- retirement is a row too.
CREATE TABLE btcwatch.listing (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    script_id    bigint NOT NULL REFERENCES btcwatch.script,
    list         text NOT NULL, -- config, command, or a list's name
    import_id    bigint NOT NULL REFERENCES btcwatch.import,
    supersedes   bigint UNIQUE REFERENCES btcwatch.listing,
    retired      boolean NOT NULL DEFAULT false,
    label        text NOT NULL DEFAULT '',
    entity       text NOT NULL DEFAULT '',
    category     text NOT NULL DEFAULT '',
    basis        text NOT NULL DEFAULT ''
        CHECK (basis IN ('', 'designation', 'seizure', 'court', 'partner', 'press', 'own')),
    confidential boolean NOT NULL DEFAULT false,
    title        text NOT NULL DEFAULT '',
    author       text NOT NULL DEFAULT '',
    publisher    text NOT NULL DEFAULT '',
    date         text NOT NULL DEFAULT '', -- as the source gives it
    url          text NOT NULL DEFAULT '',
    recorded_at  timestamptz NOT NULL
);
CREATE INDEX listing_script ON btcwatch.listing (script_id, id);
CREATE INDEX listing_import ON btcwatch.listing (import_id);

-- Where the watch of a script began: payments up to that height are historic.
CREATE TABLE btcwatch.joined (
    script_id bigint PRIMARY KEY REFERENCES btcwatch.script,
    height    integer NOT NULL,
    at        timestamptz NOT NULL
);

CREATE TABLE btcwatch.explorer (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- Projection: what is known of each explorer now.
CREATE TABLE btcwatch.explorer_now (
    explorer_id     integer PRIMARY KEY REFERENCES btcwatch.explorer,
    kind            text NOT NULL,
    operator        text NOT NULL,
    configured      boolean NOT NULL,
    state           text NOT NULL CHECK (state IN ('ok', 'lagging', 'stale', 'failing', 'limited', 'lying')),
    tip_height      integer,
    last_success_at timestamptz,
    last_error      text,
    last_error_at   timestamptz,
    failovers       bigint NOT NULL DEFAULT 0
);

-- A block is its hash. Only blocks verified here have a row.
CREATE TABLE btcwatch.block (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash     bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    height   integer NOT NULL,
    header   bytea NOT NULL CHECK (octet_length(header) = 80),
    time     timestamptz NOT NULL,
    tx_count integer NOT NULL,
    explorer_id integer REFERENCES btcwatch.explorer, -- who served it
    recorded_at timestamptz NOT NULL
);
CREATE INDEX block_height ON btcwatch.block (height);

-- Being on the chain is an attribute that changes.
CREATE TABLE btcwatch.block_event (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    block_id bigint NOT NULL REFERENCES btcwatch.block,
    on_chain boolean NOT NULL,
    at       timestamptz NOT NULL
);
CREATE INDEX block_event_block ON btcwatch.block_event (block_id, id);
CREATE INDEX block_event_gone ON btcwatch.block_event (at) WHERE NOT on_chain;

-- Projection: the verified chain.
CREATE TABLE btcwatch.chain_now (
    height   integer PRIMARY KEY,
    block_id bigint NOT NULL REFERENCES btcwatch.block
);

CREATE TABLE btcwatch.tx (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid        bytea NOT NULL UNIQUE CHECK (octet_length(txid) = 32),
    raw         bytea NOT NULL, -- hashes to txid; its witness is proven only in a verified block
    recorded_at timestamptz NOT NULL
);

-- The bytes as a verified block had them, where they differ from tx.raw
-- (the txid does not cover the witness).
CREATE TABLE btcwatch.tx_bytes (
    tx_id bigint PRIMARY KEY REFERENCES btcwatch.tx,
    raw   bytea NOT NULL
);

CREATE TABLE btcwatch.tx_input (
    tx_id     bigint NOT NULL,
    n         integer NOT NULL,
    prev_txid bytea NOT NULL CHECK (octet_length(prev_txid) = 32),
    prev_n    bigint NOT NULL, -- 4294967295 for a coinbase
    PRIMARY KEY (tx_id, n)
);
CREATE INDEX tx_input_prev ON btcwatch.tx_input (prev_txid, prev_n);

CREATE TABLE btcwatch.tx_output (
    tx_id     bigint NOT NULL,
    n         integer NOT NULL,
    script_id bigint NOT NULL,
    amount    bigint NOT NULL CHECK (amount BETWEEN 0 AND 2100000000000000),
    PRIMARY KEY (tx_id, n)
);
CREATE INDEX tx_output_script ON btcwatch.tx_output (script_id);

-- What an explorer says of an output whose transaction is not held here. No
-- byte proves it; tx_output wins as soon as that transaction is recorded.
CREATE TABLE btcwatch.stated_output (
    txid        bytea NOT NULL CHECK (octet_length(txid) = 32),
    n           bigint NOT NULL,
    script_id   bigint NOT NULL,
    amount      bigint NOT NULL CHECK (amount BETWEEN 0 AND 2100000000000000),
    explorer_id integer,
    PRIMARY KEY (txid, n)
);

-- Where a transaction stands in a block verified here.
CREATE TABLE btcwatch.placement (
    block_id bigint NOT NULL REFERENCES btcwatch.block,
    index    integer NOT NULL,
    tx_id    bigint NOT NULL REFERENCES btcwatch.tx,
    PRIMARY KEY (block_id, index)
);
CREATE INDEX placement_tx ON btcwatch.placement (tx_id);

-- Who said it, and when first; once for unconfirmed and once for each block.
CREATE TABLE btcwatch.observation (
    tx_id       bigint NOT NULL,
    explorer_id integer NOT NULL,
    block_hash  bytea NOT NULL DEFAULT '', -- empty: unconfirmed
    at          timestamptz NOT NULL,
    PRIMARY KEY (tx_id, explorer_id, block_hash)
);

-- The history of a transaction's states.
CREATE TABLE btcwatch.tx_event (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    tx_id      bigint NOT NULL,
    turn       integer NOT NULL, -- how often it left a state before
    state      text NOT NULL CHECK (state IN ('unconfirmed', 'confirmed', 'replaced', 'dropped')),
    proof      text NOT NULL CHECK (proof IN ('reported', 'corroborated', 'proven')),
    height     integer,
    block_hash bytea,
    block_time timestamptz,
    at         timestamptz NOT NULL,
    PRIMARY KEY (tx_id, id),
    CHECK ((state = 'confirmed') = (height IS NOT NULL)),
    CHECK ((state = 'confirmed') = (block_hash IS NOT NULL))
);

-- Projection: the newest state of each transaction.
CREATE TABLE btcwatch.tx_now (
    tx_id         bigint PRIMARY KEY,
    turn          integer NOT NULL,
    state         text NOT NULL,
    proof         text NOT NULL,
    height        integer,
    block_hash    bytea,
    block_time    timestamptz,
    fee           bigint,      -- null while a previous output is not known
    first_seen_at timestamptz, -- first sight while unconfirmed or in a followed block; null: only found in history
    first_seen_by integer
) WITH (fillfactor = 85);
CREATE INDEX tx_now_height ON btcwatch.tx_now (height);

-- That a transaction concerns a watched script, and since when we know.
CREATE TABLE btcwatch.touch (
    script_id   bigint NOT NULL,
    tx_id       bigint NOT NULL,
    historic    boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (script_id, tx_id)
);
CREATE INDEX touch_tx ON btcwatch.touch (tx_id);

-- Confirmed credits (0) and debits (1) of watched scripts. A row counts while
-- its transaction stands confirmed at that height.
CREATE TABLE btcwatch.movement (
    script_id bigint NOT NULL,
    height    integer NOT NULL,
    tx_id     bigint NOT NULL,
    direction smallint NOT NULL CHECK (direction IN (0, 1)),
    n         integer NOT NULL,
    amount    bigint CHECK (amount BETWEEN 0 AND 2100000000000000), -- null: not known
    stated    boolean NOT NULL, -- a debit that rests on an explorer's word for the output it spends
    PRIMARY KEY (script_id, height, tx_id, direction, n)
);
CREATE INDEX movement_tx ON btcwatch.movement (tx_id);

-- The amount of a debit that was recorded without one, or with a false one,
-- when it is learnt later: what a spend reveals of its key or script points to
-- an address and tells no amount, and what an explorer states need not be true.
CREATE TABLE btcwatch.debit_amount (
    script_id bigint NOT NULL,
    tx_id     bigint NOT NULL,
    n         integer NOT NULL,
    amount    bigint NOT NULL CHECK (amount BETWEEN 0 AND 2100000000000000),
    proven    boolean NOT NULL, -- by the transaction that made the output; else an explorer's word
    at        timestamptz NOT NULL,
    PRIMARY KEY (script_id, tx_id, n, proven)
);

-- A debit that was recorded by a hint or an explorer's word, and is none: the
-- output that it spends belongs to another script.
CREATE TABLE btcwatch.debit_refuted (
    script_id bigint NOT NULL,
    tx_id     bigint NOT NULL,
    n         integer NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (script_id, tx_id, n)
);

-- Projection: the same for unconfirmed transactions.
CREATE TABLE btcwatch.pending (
    script_id bigint NOT NULL,
    tx_id     bigint NOT NULL,
    direction smallint NOT NULL CHECK (direction IN (0, 1)),
    n         integer NOT NULL,
    amount    bigint CHECK (amount BETWEEN 0 AND 2100000000000000),
    stated    boolean NOT NULL,
    PRIMARY KEY (tx_id, script_id, direction, n)
);
CREATE INDEX pending_script ON btcwatch.pending (script_id);

-- Projection: what the movements of a script add up to.
CREATE TABLE btcwatch.balance (
    script_id        bigint PRIMARY KEY REFERENCES btcwatch.script,
    received         bigint NOT NULL DEFAULT 0,
    sent             bigint NOT NULL DEFAULT 0,
    pending_received bigint NOT NULL DEFAULT 0,
    pending_sent     bigint NOT NULL DEFAULT 0,
    tx_count         bigint NOT NULL DEFAULT 0, -- confirmed
    unknown_debits   bigint NOT NULL DEFAULT 0, -- movements and pending ones without an amount
    first_at         timestamptz,
    last_at          timestamptz
) WITH (fillfactor = 70);

-- Projection: what was asked about a script, of whom, and how it went.
CREATE TABLE btcwatch.asked (
    script_id   bigint NOT NULL REFERENCES btcwatch.script,
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    signal      text NOT NULL DEFAULT '', -- the counters that the last complete reading began with
    read_at     timestamptz,              -- last reading of its whole history
    asked_at    timestamptz,              -- last good answer
    error       text,                     -- last failure since then
    PRIMARY KEY (script_id, explorer_id)
) WITH (fillfactor = 70);

-- Which of a script's past is known, in ranges; one row when its history was
-- read to the end. The chain followed is one set for all (chain_now).
CREATE TABLE btcwatch.coverage (
    script_id   bigint NOT NULL REFERENCES btcwatch.script,
    from_height integer NOT NULL,
    to_height   integer NOT NULL,
    proof       text NOT NULL,
    explorer_id integer REFERENCES btcwatch.explorer,
    at          timestamptz NOT NULL,
    PRIMARY KEY (script_id, from_height, to_height, at)
);

-- What was not covered, and why.
CREATE TABLE btcwatch.gap (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    script_id   bigint REFERENCES btcwatch.script, -- null: all
    kind        text NOT NULL CHECK (kind IN ('blocks', 'mempool', 'schedule', 'delivery')),
    from_height integer,
    to_height   integer,
    from_time   timestamptz,
    to_time     timestamptz,
    reason      text NOT NULL,
    at          timestamptz NOT NULL,
    start_id    bigint REFERENCES btcwatch.start -- that left it out; null: an outage did
);

-- An outage of an explorer, a channel or the watch itself, or a stop that waits for a
-- person's word (chain); its row is the episode.
-- tip: no explorer shows a new block, for so long that it must be told as
-- blindness; quiet: not for so long yet. name is that of the explorer, the
-- channel or the job.
CREATE TABLE btcwatch.outage (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind   text NOT NULL CHECK (kind IN (
        'explorer', 'channel', 'chain', 'blocks', 'mempool', 'tip', 'quiet', 'backlog', 'schedule', 'delivery')),
    name   text NOT NULL DEFAULT '',
    reason text NOT NULL,
    since  timestamptz NOT NULL, -- last good answer before it
    at     timestamptz NOT NULL
);
CREATE TABLE btcwatch.outage_end (
    outage_id bigint PRIMARY KEY REFERENCES btcwatch.outage,
    at        timestamptz NOT NULL
);

-- One thing to tell, once for ever, as the bytes that are sent.
CREATE TABLE btcwatch.alert (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    seq         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    type        text NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('info', 'low', 'medium', 'high', 'severe')),
    about       text NOT NULL,
    quiet       boolean NOT NULL, -- goes to the daily report only
    thread      text NOT NULL DEFAULT '',
    script_id   bigint REFERENCES btcwatch.script,
    tx_id       bigint REFERENCES btcwatch.tx,
    amount      bigint,
    direction   text, -- as the body says; null where it says none
    proof       text,
    opened_at   timestamptz NOT NULL,
    body        bytea NOT NULL
);
CREATE INDEX alert_opened ON btcwatch.alert (opened_at);
CREATE INDEX alert_tx ON btcwatch.alert (tx_id);
CREATE INDEX alert_thread ON btcwatch.alert (thread) WHERE thread <> '';
CREATE INDEX alert_daily ON btcwatch.alert (seq) WHERE type = 'report.daily';

-- A queue: one row an alert and channel, rewritten while it is worked.
CREATE TABLE btcwatch.delivery (
    alert_id     bytea NOT NULL REFERENCES btcwatch.alert,
    channel      text NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts     integer NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL,
    lease        bigint NOT NULL DEFAULT 0, -- raised by each claim: a late result of an older claim is refused
    leased_until timestamptz,
    claimed_by   bigint, -- the epoch of the leader that claimed it; null: a daemon that stands by
    last_error   text,
    delivered_at timestamptz,
    died_at      timestamptz,
    PRIMARY KEY (alert_id, channel)
) WITH (fillfactor = 70);
CREATE INDEX delivery_due ON btcwatch.delivery (channel, next_at) WHERE state = 'waiting';
CREATE INDEX delivery_died ON btcwatch.delivery (died_at) WHERE state = 'dead';

-- What staff did with an alert; only ever grows.
CREATE TABLE btcwatch.staff_action (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id    bytea NOT NULL REFERENCES btcwatch.alert,
    action      text NOT NULL CHECK (action IN ('acknowledge', 'note', 'close', 'reopen')),
    disposition text CHECK (disposition IN ('reported', 'false_positive', 'duplicate', 'no_action')),
    note        text NOT NULL DEFAULT '',
    actor       text NOT NULL,
    at          timestamptz NOT NULL,
    CHECK ((action = 'close') = (disposition IS NOT NULL))
);
CREATE INDEX staff_action_alert ON btcwatch.staff_action (alert_id, id);

-- Projection: when each scheduled job last began, the report when it last began
-- and was recorded; an overdue one runs at start.
CREATE TABLE btcwatch.job_run (
    name     text PRIMARY KEY,
    began_at timestamptz NOT NULL
);

-- One row a commit with a digest over what it recorded; only ever grows.
CREATE TABLE btcwatch.journal (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch  bigint NOT NULL,
    kind   text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    at     timestamptz NOT NULL
);

INSERT INTO btcwatch.position DEFAULT VALUES;

-- +goose Down
-- The schema stays: it holds the table that says how far the migrations went.
DROP TABLE
    btcwatch.journal,
    btcwatch.job_run,
    btcwatch.staff_action,
    btcwatch.delivery,
    btcwatch.alert,
    btcwatch.outage_end,
    btcwatch.outage,
    btcwatch.gap,
    btcwatch.coverage,
    btcwatch.asked,
    btcwatch.balance,
    btcwatch.pending,
    btcwatch.debit_refuted,
    btcwatch.debit_amount,
    btcwatch.movement,
    btcwatch.touch,
    btcwatch.tx_now,
    btcwatch.tx_event,
    btcwatch.observation,
    btcwatch.placement,
    btcwatch.stated_output,
    btcwatch.tx_output,
    btcwatch.tx_input,
    btcwatch.tx_bytes,
    btcwatch.tx,
    btcwatch.chain_now,
    btcwatch.block_event,
    btcwatch.block,
    btcwatch.explorer_now,
    btcwatch.explorer,
    btcwatch.joined,
    btcwatch.listing,
    btcwatch.import_told,
    btcwatch.import,
    btcwatch.script,
    btcwatch.start,
    btcwatch.position,
    btcwatch.installation;
