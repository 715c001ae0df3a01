-- +goose Up
-- What is not proven is asked of several explorers. Here stands what decides
-- whether two of them are two witnesses, what each of them said of the same, and
-- where they disagree.

-- The family of software that an explorer runs, as configured, by its kind or as
-- it says itself; empty: not known, and then it bears nobody out.
ALTER TABLE btcwatch.explorer_now ADD COLUMN software text NOT NULL DEFAULT '';

-- What further explorers say of an output that stated_output holds the first
-- word of: where the output belongs to a watched script, or where they say
-- otherwise than that first word.
CREATE TABLE btcwatch.stated_also (
    txid         bytea NOT NULL CHECK (octet_length(txid) = 32),
    n            bigint NOT NULL,
    explorer_id  integer NOT NULL,
    script_id    bigint NOT NULL,
    amount       bigint NOT NULL CHECK (amount BETWEEN 0 AND 2100000000000000),
    corroborates boolean NOT NULL, -- an independent explorer had said the same before
    at           timestamptz NOT NULL,
    PRIMARY KEY (txid, n, explorer_id)
);

-- Whether two independent explorers state the same of the output that an input
-- spends.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.restated(tx bigint, input integer, script bigint, value bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM btcwatch.tx_input i
        JOIN btcwatch.stated_also s ON s.txid = i.prev_txid AND s.n = i.prev_n
        WHERE i.tx_id = tx AND i.n = input AND s.corroborates AND s.script_id = script AND s.amount = value)
$$;
-- +goose StatementEnd

-- That two explorers say different things of the same, or one says something
-- else than the chain followed. Both answers are kept, in our own words.
CREATE TABLE btcwatch.disagreement (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('transaction', 'mempool', 'amount', 'counters', 'block')),
    subject     text NOT NULL, -- txid, outpoint, address; empty: the chain
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer, -- whose answer this is about
    other_id    integer REFERENCES btcwatch.explorer,          -- who says otherwise; null: the chain followed does
    script_id   bigint REFERENCES btcwatch.script,
    tx_id       bigint REFERENCES btcwatch.tx,
    said        text NOT NULL CHECK (octet_length(said) <= 4000),
    other_said  text NOT NULL CHECK (octet_length(other_said) <= 4000),
    told        boolean NOT NULL, -- false: it is in the daily report only
    since       timestamptz NOT NULL, -- when it was first noticed
    at          timestamptz NOT NULL
);
CREATE INDEX disagreement_subject ON btcwatch.disagreement (subject, kind);
CREATE INDEX disagreement_at ON btcwatch.disagreement (explorer_id, at);
CREATE INDEX disagreement_tx ON btcwatch.disagreement (tx_id);

CREATE TABLE btcwatch.disagreement_end (
    disagreement_id bigint PRIMARY KEY REFERENCES btcwatch.disagreement,
    how             text NOT NULL CHECK (how IN ('agreed', 'shown', 'moot')), -- shown: the chain or a transaction itself shows who was right
    wrong_id        integer REFERENCES btcwatch.explorer, -- whom it shows to be wrong; null: nobody
    at              timestamptz NOT NULL
);

-- How many more there were of two explorers on a UTC day than are kept; only
-- ever grows.
CREATE TABLE btcwatch.disagreement_more (
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    other_id    integer NOT NULL, -- 0: the chain followed
    day         date NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (explorer_id, other_id, day)
);

CREATE VIEW btcwatch.disagreement_open AS
SELECT d.*
FROM btcwatch.disagreement d
WHERE NOT EXISTS (SELECT FROM btcwatch.disagreement_end e WHERE e.disagreement_id = d.id);

CREATE VIEW report.disagreements AS
SELECT d.id,
       d.kind,
       x.name AS explorer,
       o.name AS other,
       s.address,
       btcwatch.display(t.txid) AS txid,
       d.said,
       d.other_said,
       d.since AS since_at,
       d.at AS told_at,
       d.told,
       e.at AS ended_at,
       e.how AS ended_how,
       w.name AS wrong
FROM btcwatch.disagreement d
JOIN btcwatch.explorer x ON x.id = d.explorer_id
LEFT JOIN btcwatch.explorer o ON o.id = d.other_id
LEFT JOIN btcwatch.script s ON s.id = d.script_id
LEFT JOIN btcwatch.tx t ON t.id = d.tx_id
LEFT JOIN btcwatch.disagreement_end e ON e.disagreement_id = d.id
LEFT JOIN btcwatch.explorer w ON w.id = e.wrong_id;
COMMENT ON VIEW report.disagreements IS 'One row a disagreement: two explorers say different things of the same, or one says something else than the chain followed. Of two explorers at most twenty a UTC day are kept; how many more there were is in report.explorers.';
COMMENT ON COLUMN report.disagreements.id IS 'Number of the episode.';
COMMENT ON COLUMN report.disagreements.kind IS 'transaction: one shows a confirmed payment, the other does not. mempool: the same of an unconfirmed one, which two honest explorers may do, for each decides what it keeps. amount: they state an output differently. counters: they count differently at the same tip. block: another block at the same height.';
COMMENT ON COLUMN report.disagreements.explorer IS 'Whose answer this is about. Which of the two is wrong is not said by that.';
COMMENT ON COLUMN report.disagreements.other IS 'Who says otherwise; null: the chain followed.';
COMMENT ON COLUMN report.disagreements.address IS 'The watched address concerned; null: none in particular.';
COMMENT ON COLUMN report.disagreements.txid IS 'The payment concerned; null: none in particular.';
COMMENT ON COLUMN report.disagreements.said IS 'What the explorer says, in our own words.';
COMMENT ON COLUMN report.disagreements.other_said IS 'What the other one says, in our own words.';
COMMENT ON COLUMN report.disagreements.since_at IS 'When it was first noticed, UTC.';
COMMENT ON COLUMN report.disagreements.told_at IS 'When it had lasted long enough to be recorded, UTC.';
COMMENT ON COLUMN report.disagreements.told IS 'Whether explorer.disagreed was sent; false: there were too many that day, or it came again within a day: it is in the daily report.';
COMMENT ON COLUMN report.disagreements.ended_at IS 'UTC; null while it lasts.';
COMMENT ON COLUMN report.disagreements.ended_how IS 'agreed: they say the same now. shown: the chain, or a transaction itself, shows who was right. moot: there is nothing left to disagree about. Null while it lasts.';
COMMENT ON COLUMN report.disagreements.wrong IS 'The explorer that the chain, or a transaction itself, shows to have been wrong; null: nobody, or not known. Never decided by vote.';

CREATE OR REPLACE VIEW report.explorers AS
SELECT e.name, n.kind, n.operator, n.state, n.tip_height, n.last_success_at, n.last_error, n.last_error_at, n.failovers,
       n.state_since, q.since AS quarantined_since, q.reason AS quarantine_reason,
       CASE WHEN n.requests_per_hour IS NOT NULL THEN greatest(0, n.requests_per_hour - s.hour)::bigint END AS left_this_hour,
       CASE WHEN n.requests_per_day IS NOT NULL THEN greatest(0, n.requests_per_day - s.day)::bigint END AS left_this_day,
       n.software,
       (SELECT count(*) FROM btcwatch.disagreement_open d WHERE e.id IN (d.explorer_id, d.other_id)) AS disagreements_open,
       (SELECT coalesce(sum(m.count), 0)::bigint FROM btcwatch.disagreement_more m WHERE e.id IN (m.explorer_id, m.other_id)) AS disagreements_not_kept
FROM btcwatch.explorer e
JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
LEFT JOIN LATERAL (
    SELECT q.since, q.reason
    FROM btcwatch.quarantine q
    WHERE q.explorer_id = e.id
      AND NOT EXISTS (SELECT FROM btcwatch.quarantine_end d WHERE d.quarantine_id = q.id)
    ORDER BY q.id DESC
    LIMIT 1
) q ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.requests) FILTER (WHERE s.at > now() - interval '1 hour 5 minutes'), 0) AS hour,
           coalesce(sum(s.requests) FILTER (WHERE s.at > now() - interval '1 day 5 minutes'), 0) AS day
    FROM btcwatch.explorer_spent s
    WHERE s.explorer_id = e.id
) s
WHERE n.configured;
COMMENT ON VIEW report.explorers IS 'One row a configured explorer and how the leading daemon found it last.';
COMMENT ON COLUMN report.explorers.state IS
'The first that applies: lying: in quarantine, or its last answer of a sort was false; limited: it asked for patience, or its budget is used up; failing: its answers are bad; stale: it shows the same tip for stale_after, two or more blocks below the chain that is verified here; lagging: two or more blocks below it for lagging_after; ok. Tips that are only claimed measure nothing.';
COMMENT ON COLUMN report.explorers.state_since IS 'Since when it is known to be in this state; null: not judged yet.';
COMMENT ON COLUMN report.explorers.tip_height IS 'Height that it showed last, as it says; null: never any.';
COMMENT ON COLUMN report.explorers.quarantined_since IS 'When it was caught in something false, and is not believed since; null: it is in no quarantine.';
COMMENT ON COLUMN report.explorers.quarantine_reason IS 'What was false; null: it is in no quarantine.';
COMMENT ON COLUMN report.explorers.left_this_hour IS 'Requests that its budget leaves in this hour, as counted by the daemon; null: requests_per_hour is not set.';
COMMENT ON COLUMN report.explorers.left_this_day IS 'Requests that its budget leaves in this day, as counted by the daemon; null: requests_per_day is not set.';
COMMENT ON COLUMN report.explorers.failovers IS 'How often it did not answer what another explorer was asked instead, since it was first configured.';
COMMENT ON COLUMN report.explorers.software IS 'Family of its software, as configured, by its kind or as it says itself; empty: not known. Two explorers are independent witnesses only where operator and software differ and are known.';
COMMENT ON COLUMN report.explorers.disagreements_open IS 'How many rows of report.disagreements name it and have not ended.';
COMMENT ON COLUMN report.explorers.disagreements_not_kept IS 'How many further disagreements named it, on days when there were more than are kept.';

CREATE OR REPLACE VIEW report.transactions AS
SELECT s.address,
       btcwatch.display(t.txid) AS txid,
       CASE
           WHEN a.debits = 0 THEN 'in'
           WHEN a.unknown > 0 THEN 'out'
           WHEN a.credits > 0 AND NOT EXISTS (
               SELECT FROM btcwatch.tx_output o
               WHERE o.tx_id = t.id AND o.script_id <> u.script_id AND o.amount > 0) THEN 'self'
           WHEN a.received >= a.sent THEN 'in'
           ELSE 'out'
       END AS direction,
       CASE WHEN a.unknown = 0 AND a.credits + a.debits > 0 THEN abs(a.received - a.sent) END AS amount_sat,
       CASE WHEN a.unknown = 0 AND a.credits + a.debits > 0 THEN round(abs(a.received - a.sent)::numeric / 100000000, 8) END AS amount_btc,
       n.fee AS fee_sat,
       n.state,
       CASE
           WHEN a.stated = 0 THEN n.proof
           WHEN a.alone = 0 AND n.proof <> 'reported' THEN 'corroborated'
           ELSE 'reported'
       END AS proof,
       CASE WHEN n.state = 'confirmed' THEN greatest(1, p.height - n.height + 1) ELSE 0 END AS confirmations,
       n.height AS block_height,
       btcwatch.display(n.block_hash) AS block_hash,
       n.block_time,
       n.first_seen_at,
       e.name AS first_seen_by,
       u.recorded_at,
       u.historic
FROM btcwatch.touch u
JOIN btcwatch.tx t ON t.id = u.tx_id
JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id
JOIN btcwatch.script s ON s.id = u.script_id
CROSS JOIN btcwatch.position p
LEFT JOIN btcwatch.explorer e ON e.id = n.first_seen_by
JOIN LATERAL (
    SELECT count(*) FILTER (WHERE x.direction = 0) AS credits,
           count(*) FILTER (WHERE x.direction = 1) AS debits,
           count(*) FILTER (WHERE x.amount IS NULL) AS unknown,
           count(*) FILTER (WHERE x.stated) AS stated,
           count(*) FILTER (WHERE x.stated AND NOT btcwatch.restated(u.tx_id, x.n, u.script_id, x.amount)) AS alone,
           coalesce(sum(x.amount) FILTER (WHERE x.direction = 0), 0)::bigint AS received,
           coalesce(sum(x.amount) FILTER (WHERE x.direction = 1), 0)::bigint AS sent
    FROM (
        SELECT m.direction, m.n, m.amount, m.stated AND NOT btcwatch.held(m.tx_id, m.n, m.script_id, m.amount) AS stated
        FROM btcwatch.moved m
        WHERE m.script_id = u.script_id
          AND m.tx_id = u.tx_id
          AND m.height = CASE
                  WHEN n.state = 'confirmed' THEN n.height
                  -- what no longer stands shows what it was when it last did
                  WHEN n.state IN ('replaced', 'dropped') THEN (
                      SELECT max(l.height) FROM btcwatch.moved l WHERE l.script_id = u.script_id AND l.tx_id = u.tx_id)
              END
        UNION ALL
        SELECT q.direction, q.n, q.amount, q.stated AND NOT btcwatch.held(q.tx_id, q.n, q.script_id, q.amount)
        FROM btcwatch.pending q
        WHERE q.script_id = u.script_id AND q.tx_id = u.tx_id
        UNION ALL
        -- what never stood in a block shows what it would have done
        SELECT v.direction, -1, v.amount, v.direction = 1
        FROM btcwatch.vanished v
        WHERE v.script_id = u.script_id
          AND v.tx_id = u.tx_id
          AND n.state IN ('replaced', 'dropped')
          AND NOT EXISTS (SELECT FROM btcwatch.movement l WHERE l.script_id = u.script_id AND l.tx_id = u.tx_id)
    ) x
) a ON true
WHERE NOT btcwatch.refuted(u.script_id, u.tx_id);
COMMENT ON COLUMN report.transactions.proof IS 'Of the state it is in now. reported: an explorer says so, or several that are no independent witnesses; corroborated: at least two explorers of different operators and software say the same, of an outgoing payment also of what it spends; proven: in a block verified here, or by a Merkle branch to a header of the chain followed, which rests on what btcwatch.start says.';

-- +goose Down
CREATE OR REPLACE VIEW report.transactions AS
SELECT s.address,
       btcwatch.display(t.txid) AS txid,
       CASE
           WHEN a.debits = 0 THEN 'in'
           WHEN a.unknown > 0 THEN 'out'
           WHEN a.credits > 0 AND NOT EXISTS (
               SELECT FROM btcwatch.tx_output o
               WHERE o.tx_id = t.id AND o.script_id <> u.script_id AND o.amount > 0) THEN 'self'
           WHEN a.received >= a.sent THEN 'in'
           ELSE 'out'
       END AS direction,
       CASE WHEN a.unknown = 0 AND a.credits + a.debits > 0 THEN abs(a.received - a.sent) END AS amount_sat,
       CASE WHEN a.unknown = 0 AND a.credits + a.debits > 0 THEN round(abs(a.received - a.sent)::numeric / 100000000, 8) END AS amount_btc,
       n.fee AS fee_sat,
       n.state,
       CASE WHEN a.stated > 0 THEN 'reported' ELSE n.proof END AS proof,
       CASE WHEN n.state = 'confirmed' THEN greatest(1, p.height - n.height + 1) ELSE 0 END AS confirmations,
       n.height AS block_height,
       btcwatch.display(n.block_hash) AS block_hash,
       n.block_time,
       n.first_seen_at,
       e.name AS first_seen_by,
       u.recorded_at,
       u.historic
FROM btcwatch.touch u
JOIN btcwatch.tx t ON t.id = u.tx_id
JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id
JOIN btcwatch.script s ON s.id = u.script_id
CROSS JOIN btcwatch.position p
LEFT JOIN btcwatch.explorer e ON e.id = n.first_seen_by
JOIN LATERAL (
    SELECT count(*) FILTER (WHERE x.direction = 0) AS credits,
           count(*) FILTER (WHERE x.direction = 1) AS debits,
           count(*) FILTER (WHERE x.amount IS NULL) AS unknown,
           count(*) FILTER (WHERE x.stated) AS stated,
           coalesce(sum(x.amount) FILTER (WHERE x.direction = 0), 0)::bigint AS received,
           coalesce(sum(x.amount) FILTER (WHERE x.direction = 1), 0)::bigint AS sent
    FROM (
        SELECT m.direction, m.amount, m.stated AND NOT btcwatch.held(m.tx_id, m.n, m.script_id, m.amount) AS stated
        FROM btcwatch.moved m
        WHERE m.script_id = u.script_id
          AND m.tx_id = u.tx_id
          AND m.height = CASE
                  WHEN n.state = 'confirmed' THEN n.height
                  -- what no longer stands shows what it was when it last did
                  WHEN n.state IN ('replaced', 'dropped') THEN (
                      SELECT max(l.height) FROM btcwatch.moved l WHERE l.script_id = u.script_id AND l.tx_id = u.tx_id)
              END
        UNION ALL
        SELECT q.direction, q.amount, q.stated AND NOT btcwatch.held(q.tx_id, q.n, q.script_id, q.amount)
        FROM btcwatch.pending q
        WHERE q.script_id = u.script_id AND q.tx_id = u.tx_id
        UNION ALL
        -- what never stood in a block shows what it would have done
        SELECT v.direction, v.amount, v.direction = 1
        FROM btcwatch.vanished v
        WHERE v.script_id = u.script_id
          AND v.tx_id = u.tx_id
          AND n.state IN ('replaced', 'dropped')
          AND NOT EXISTS (SELECT FROM btcwatch.movement l WHERE l.script_id = u.script_id AND l.tx_id = u.tx_id)
    ) x
) a ON true
WHERE NOT btcwatch.refuted(u.script_id, u.tx_id);
DROP VIEW report.explorers;
CREATE VIEW report.explorers AS
SELECT e.name, n.kind, n.operator, n.state, n.tip_height, n.last_success_at, n.last_error, n.last_error_at, n.failovers
FROM btcwatch.explorer e
JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
WHERE n.configured;
COMMENT ON VIEW report.explorers IS 'One row a configured explorer and how it did last.';
DROP VIEW report.disagreements;
DROP VIEW btcwatch.disagreement_open;
DROP TABLE
    btcwatch.disagreement_more,
    btcwatch.disagreement_end,
    btcwatch.disagreement;
DROP FUNCTION btcwatch.restated(bigint, integer, bigint, bigint);
DROP TABLE btcwatch.stated_also;
ALTER TABLE btcwatch.explorer_now DROP COLUMN software;
