-- +goose Up
-- What a bitcoin is worth, by the word of explorers or by a table of the
-- operator's own.

-- What the daemon took up; the newest row holds. An empty currency: none.
CREATE TABLE btcwatch.fiat (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency text NOT NULL CHECK (currency ~ '^([A-Z]{3})?$'),
    max_age  interval NOT NULL CHECK (max_age >= interval '0'), -- how far from a payment a rate may be
    at       timestamptz NOT NULL
);

CREATE VIEW btcwatch.fiat_now AS
SELECT f.currency, f.max_age
FROM (SELECT currency, max_age FROM btcwatch.fiat ORDER BY id DESC LIMIT 1) f
WHERE f.currency <> '';

-- A rate, as it was stated. One source may state another rate of the same time
-- later: the newest row of the two counts.
CREATE TABLE btcwatch.rate (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    digits   smallint NOT NULL CHECK (digits BETWEEN 0 AND 4), -- of the minor unit
    minor    bigint NOT NULL CHECK (minor BETWEEN 1 AND 1000000000000000), -- minor units for one bitcoin
    at       timestamptz NOT NULL, -- of when it is, as its source says
    source   text NOT NULL CHECK (source <> ''), -- the explorer, or what the table calls it
    own      boolean NOT NULL, -- it comes from the operator's table
    recorded timestamptz NOT NULL
);
CREATE INDEX rate_time ON btcwatch.rate (currency, at);

-- Of which days the rate at noon UTC was asked for, with or without an answer.
CREATE TABLE btcwatch.rate_asked (
    currency text NOT NULL,
    day      date NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (currency, day)
);

-- The rate for a time: of those no further from it than is configured, one of
-- the operator's own table before others, then the nearest, of two equally near
-- the earlier, then by the name of the source.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.rate_at(t timestamptz) RETURNS btcwatch.rate
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.*
    FROM btcwatch.fiat_now f
    JOIN btcwatch.rate r ON r.currency = f.currency AND r.at BETWEEN t - f.max_age AND t + f.max_age
    ORDER BY r.own DESC, greatest(r.at - t, t - r.at), r.at, r.source COLLATE "C", r.id DESC
    LIMIT 1
$$;
-- +goose StatementEnd

-- Whether another source states for within half an hour of a rate one that is
-- more than three percent off.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.rate_disputed(r btcwatch.rate) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM btcwatch.rate o
        WHERE o.currency = r.currency
          AND o.at BETWEEN r.at - interval '30 minutes' AND r.at + interval '30 minutes'
          AND o.source <> r.source
          AND abs(o.minor - r.minor)::numeric * 100 > least(o.minor, r.minor)::numeric * 3
          AND NOT EXISTS (SELECT FROM btcwatch.rate n WHERE n.currency = o.currency AND n.at = o.at AND n.source = o.source AND n.id > o.id))
$$;
-- +goose StatementEnd

-- What satoshis are worth, rounded half up to the minor unit, as alerts say it.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.worth(sat bigint, r btcwatch.rate) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(div(sat::numeric * r.minor + 50000000, 100000000) / power(10::numeric, r.digits), r.digits)
$$;
-- +goose StatementEnd

CREATE VIEW report.rates AS
SELECT r.currency,
       r.at,
       round(r.minor / power(10::numeric, r.digits), r.digits) AS rate,
       r.source,
       r.own,
       btcwatch.rate_disputed(r) AS disputed,
       r.recorded AS recorded_at
FROM btcwatch.rate r;
COMMENT ON VIEW report.rates IS 'One row a rate: what one bitcoin was worth at a time, as its source says. Nothing of it is proven. Kept when the currency is changed.';
COMMENT ON COLUMN report.rates.currency IS 'Code of ISO 4217.';
COMMENT ON COLUMN report.rates.at IS 'Of when the rate is, as its source says, UTC.';
COMMENT ON COLUMN report.rates.rate IS 'The currency for one bitcoin, rounded half up to the minor unit of the currency.';
COMMENT ON COLUMN report.rates.source IS 'The explorer that says so, by its name in the configuration, or the source that the operator''s table names.';
COMMENT ON COLUMN report.rates.own IS 'Whether it comes from the table that [fiat] csv names, which goes before explorers.';
COMMENT ON COLUMN report.rates.disputed IS 'Whether another source states a rate more than three percent off for within half an hour of it.';
COMMENT ON COLUMN report.rates.recorded_at IS 'When it was recorded here, UTC. Of two rows of one source and time the newer counts.';

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
       u.historic,
       -- no join: who does not ask for these columns does not pay for them
       CASE WHEN a.unknown = 0 AND a.credits + a.debits > 0
            THEN btcwatch.worth(abs(a.received - a.sent), btcwatch.rate_at(CASE WHEN n.state = 'confirmed' THEN n.block_time ELSE coalesce(n.first_seen_at, u.recorded_at) END)) END AS amount_fiat,
       (btcwatch.rate_at(CASE WHEN n.state = 'confirmed' THEN n.block_time ELSE coalesce(n.first_seen_at, u.recorded_at) END)).currency AS fiat_currency,
       (btcwatch.rate_at(CASE WHEN n.state = 'confirmed' THEN n.block_time ELSE coalesce(n.first_seen_at, u.recorded_at) END)).at AS fiat_rate_at,
       (btcwatch.rate_at(CASE WHEN n.state = 'confirmed' THEN n.block_time ELSE coalesce(n.first_seen_at, u.recorded_at) END)).source AS fiat_source
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
COMMENT ON COLUMN report.transactions.amount_fiat IS 'amount_sat in fiat_currency, rounded half up to its minor unit, by the rate nearest to block_time (confirmed) or to first sight that is on record now and no further from it than [fiat] max_age; null when there is none, amount_sat is null, or [fiat] is not configured. An alert keeps the amount by the rate that was known when it was made.';
COMMENT ON COLUMN report.transactions.fiat_currency IS 'Code of ISO 4217; null when there is no rate.';
COMMENT ON COLUMN report.transactions.fiat_rate_at IS 'Of when the rate is, as its source says, UTC; null when there is no rate.';
COMMENT ON COLUMN report.transactions.fiat_source IS 'The explorer, or the source in the operator''s table, that states the rate; null when there is no rate.';

-- +goose Down
DROP VIEW report.transactions;
CREATE VIEW report.transactions AS
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
COMMENT ON VIEW report.transactions IS 'One row an address and transaction. Summing it is not the balance: take report.balances.';
COMMENT ON COLUMN report.transactions.amount_sat IS 'Absolute net effect on the address in satoshis, change not counted; null when a debit''s amount is not known.';
COMMENT ON COLUMN report.transactions.fee_sat IS 'Fee of the whole transaction in satoshis; null while an output it spends is not known.';
COMMENT ON COLUMN report.transactions.first_seen_at IS 'First sight, live; null when only found in history.';
COMMENT ON COLUMN report.transactions.proof IS 'Of the state it is in now. reported: an explorer says so, or several that are no independent witnesses; corroborated: at least two explorers of different operators and software say the same, of an outgoing payment also of what it spends; proven: in a block verified here, or by a Merkle branch to a header of the chain followed, which rests on what btcwatch.start says.';
DROP VIEW report.rates;
DROP FUNCTION btcwatch.worth(bigint, btcwatch.rate);
DROP FUNCTION btcwatch.rate_disputed(btcwatch.rate);
DROP FUNCTION btcwatch.rate_at(timestamptz);
DROP TABLE btcwatch.rate_asked, btcwatch.rate;
DROP VIEW btcwatch.fiat_now;
DROP TABLE btcwatch.fiat;
