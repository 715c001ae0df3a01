-- +goose Up
-- The report schema: what analysts query. Hashes are hex in display order,
-- amounts satoshis (bigint) with amount_btc beside them, times UTC.

CREATE SCHEMA IF NOT EXISTS report;

-- A hash of 32 bytes in the order in which people read it. Written out, it is
-- fifteen times as fast as with string_agg, and a search by txid runs it over
-- every transaction.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.display(hash bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(
           substr(hash, 32, 1) || substr(hash, 31, 1) || substr(hash, 30, 1) || substr(hash, 29, 1) ||
           substr(hash, 28, 1) || substr(hash, 27, 1) || substr(hash, 26, 1) || substr(hash, 25, 1) ||
           substr(hash, 24, 1) || substr(hash, 23, 1) || substr(hash, 22, 1) || substr(hash, 21, 1) ||
           substr(hash, 20, 1) || substr(hash, 19, 1) || substr(hash, 18, 1) || substr(hash, 17, 1) ||
           substr(hash, 16, 1) || substr(hash, 15, 1) || substr(hash, 14, 1) || substr(hash, 13, 1) ||
           substr(hash, 12, 1) || substr(hash, 11, 1) || substr(hash, 10, 1) || substr(hash, 9, 1) ||
           substr(hash, 8, 1) || substr(hash, 7, 1) || substr(hash, 6, 1) || substr(hash, 5, 1) ||
           substr(hash, 4, 1) || substr(hash, 3, 1) || substr(hash, 2, 1) || substr(hash, 1, 1), 'hex')
$$;
-- +goose StatementEnd

-- Whether the transaction whose output an input spends is recorded here and has
-- that output, so that nobody's word is needed for it.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.held(tx bigint, input integer, script bigint, value bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM btcwatch.tx_input i
        JOIN btcwatch.tx p ON p.txid = i.prev_txid
        JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
        WHERE i.tx_id = tx AND i.n = input AND o.script_id = script AND o.amount = value)
$$;
-- +goose StatementEnd

-- Movements with the amounts that were learnt later.
CREATE VIEW btcwatch.moved AS
SELECT m.script_id, m.height, m.tx_id, m.direction, m.n, coalesce(m.amount, d.amount) AS amount, m.stated
FROM btcwatch.movement m
LEFT JOIN btcwatch.debit_amount d
    ON m.amount IS NULL AND m.direction = 1 AND d.script_id = m.script_id AND d.tx_id = m.tx_id AND d.n = m.n;

-- What a transaction does to the scripts of its outputs (0) and of the outputs
-- that it spends (1), as far as they are known, wherever it stands.
CREATE VIEW btcwatch.vanished AS
SELECT o.script_id, o.tx_id, 0::smallint AS direction, o.amount
FROM btcwatch.tx_output o
UNION ALL
SELECT coalesce(po.script_id, so.script_id), i.tx_id, 1::smallint, coalesce(po.amount, so.amount)
FROM btcwatch.tx_input i
LEFT JOIN btcwatch.tx p ON p.txid = i.prev_txid
LEFT JOIN btcwatch.tx_output po ON po.tx_id = p.id AND po.n = i.prev_n
LEFT JOIN btcwatch.stated_output so ON so.txid = i.prev_txid AND so.n = i.prev_n;

-- The listings in force: nothing supersedes them and they are not retired.
CREATE VIEW btcwatch.listing_now AS
SELECT l.*
FROM btcwatch.listing l
WHERE NOT l.retired
  AND NOT EXISTS (SELECT FROM btcwatch.listing s WHERE s.supersedes = l.id);

-- What following last began with.
CREATE VIEW btcwatch.start_begun AS
SELECT *
FROM btcwatch.start
WHERE begins
ORDER BY id DESC
LIMIT 1;

-- The stretches of the chain followed, each with the start that it rests on: a
-- later start keeps what was covered before it up to its fork.
CREATE VIEW btcwatch.followed AS
SELECT s.id, s.height AS from_height, e.to_height, s.parent_hash, s.rests_on, s.proves, s.at, e.until
FROM btcwatch.start s
CROSS JOIN btcwatch.position p
CROSS JOIN LATERAL (
    SELECT least(p.height, min(l.fork)) AS to_height,
           coalesce(min(l.at), p.moved_at) AS until,
           count(*) = 0 AS newest
    FROM btcwatch.start l
    WHERE l.id > s.id
) e
WHERE e.newest OR e.to_height >= s.height;

CREATE VIEW report.addresses AS
SELECT s.address,
       l.label, l.entity, l.category, l.basis, l.list,
       f.added_at,
       CASE WHEN l.retired THEN l.recorded_at END AS retired_at,
       l.confidential,
       l.title AS source_title, l.author AS source_author, l.publisher AS source_publisher,
       l.date AS source_date, l.url AS source_url,
       j.height AS joined_height
FROM (SELECT script_id, min(recorded_at) AS added_at FROM btcwatch.listing GROUP BY script_id) f
JOIN btcwatch.script s ON s.id = f.script_id
LEFT JOIN btcwatch.joined j ON j.script_id = f.script_id
JOIN LATERAL (
    SELECT *
    FROM btcwatch.listing l
    WHERE l.script_id = f.script_id
      AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
    ORDER BY l.retired, l.id DESC
    LIMIT 1
) l ON true;
COMMENT ON VIEW report.addresses IS 'One row a watched address; label and source of its newest listing in force, or of the last one when it is retired.';
COMMENT ON COLUMN report.addresses.basis IS 'Ground of the listing: designation, seizure, court, partner, press, own; empty when not known.';
COMMENT ON COLUMN report.addresses.joined_height IS 'Height at which the watch began; payments up to it are historic. Null until following has begun.';

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
) a ON true;
COMMENT ON VIEW report.transactions IS 'One row an address and transaction. Summing it is not the balance: take report.balances.';
COMMENT ON COLUMN report.transactions.amount_sat IS 'Absolute net effect on the address in satoshis, change not counted; null when a debit''s amount is not known.';
COMMENT ON COLUMN report.transactions.fee_sat IS 'Fee of the whole transaction in satoshis; null while an output it spends is not known.';
COMMENT ON COLUMN report.transactions.proof IS 'reported: an explorer says so; proven: in a block verified here, on a chain that rests on what btcwatch.start says.';
COMMENT ON COLUMN report.transactions.first_seen_at IS 'First sight, live; null when only found in history.';

CREATE VIEW report.movements AS
SELECT s.address,
       btcwatch.display(t.txid) AS txid,
       CASE m.direction WHEN 0 THEN 'in' ELSE 'out' END AS direction,
       m.n AS index,
       m.amount AS amount_sat,
       round(m.amount::numeric / 100000000, 8) AS amount_btc,
       n.height AS block_height,
       n.block_time,
       m.stated AND NOT btcwatch.held(m.tx_id, m.n, m.script_id, m.amount) AS stated
FROM btcwatch.moved m
JOIN btcwatch.tx_now n ON n.tx_id = m.tx_id AND n.state = 'confirmed' AND n.height = m.height
JOIN btcwatch.tx t ON t.id = m.tx_id
JOIN btcwatch.script s ON s.id = m.script_id
UNION ALL
SELECT s.address,
       btcwatch.display(t.txid),
       CASE q.direction WHEN 0 THEN 'in' ELSE 'out' END,
       q.n,
       q.amount,
       round(q.amount::numeric / 100000000, 8),
       NULL,
       NULL,
       q.stated AND NOT btcwatch.held(q.tx_id, q.n, q.script_id, q.amount)
FROM btcwatch.pending q
JOIN btcwatch.tx t ON t.id = q.tx_id
JOIN btcwatch.script s ON s.id = q.script_id;
COMMENT ON VIEW report.movements IS 'One live credit or debit; index is that of the output (in) or input (out). Unconfirmed ones have no height.';
COMMENT ON COLUMN report.movements.amount_sat IS 'Satoshis, positive; null when not known.';
COMMENT ON COLUMN report.movements.stated IS 'True for a debit whose spent output only an explorer states.';

CREATE VIEW report.balances AS
SELECT s.address,
       CASE WHEN k.known AND coalesce(b.unknown_debits, 0) = 0 THEN coalesce(b.received - b.sent, 0) END AS balance_sat,
       CASE WHEN k.known AND coalesce(b.unknown_debits, 0) = 0 THEN round(coalesce(b.received - b.sent, 0)::numeric / 100000000, 8) END AS balance_btc,
       coalesce(b.received, 0) AS received_sat,
       coalesce(b.sent, 0) AS sent_sat,
       coalesce(b.pending_received - b.pending_sent, 0) AS unconfirmed_sat,
       coalesce(b.tx_count, 0) AS tx_count,
       b.last_at AS last_activity_at,
       k.known AS history_known
FROM (SELECT DISTINCT script_id FROM btcwatch.listing) w
JOIN btcwatch.script s ON s.id = w.script_id
LEFT JOIN btcwatch.balance b ON b.script_id = w.script_id
JOIN LATERAL (
    SELECT EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = w.script_id) AS known
) k ON true;
COMMENT ON VIEW report.balances IS 'One row a watched address; confirmed sums in satoshis of what is recorded.';
COMMENT ON COLUMN report.balances.balance_sat IS 'Null until the history before the watch has been read to the end, or while a debit''s amount is not known: not known is not zero.';
COMMENT ON COLUMN report.balances.received_sat IS 'Sum of recorded confirmed credits, change included.';

CREATE VIEW report.counterparties AS
WITH net AS (
    SELECT u.script_id, u.tx_id, n.block_time, n.first_seen_at, a.debits, a.received, a.sent
    FROM btcwatch.touch u
    JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id AND n.state IN ('unconfirmed', 'confirmed')
    JOIN LATERAL (
        SELECT count(*) FILTER (WHERE x.direction = 1) AS debits,
               coalesce(sum(x.amount) FILTER (WHERE x.direction = 0), 0)::bigint AS received,
               coalesce(sum(x.amount) FILTER (WHERE x.direction = 1), 0)::bigint AS sent
        FROM (
            SELECT m.direction, m.amount FROM btcwatch.moved m
            WHERE m.script_id = u.script_id AND m.height = n.height AND m.tx_id = u.tx_id
            UNION ALL
            SELECT q.direction, q.amount FROM btcwatch.pending q
            WHERE q.script_id = u.script_id AND q.tx_id = u.tx_id
        ) x
    ) a ON true
), side AS (
    SELECT n.script_id, n.tx_id, 'in'::text AS direction, o.script_id AS other, n.received - n.sent AS amount,
           coalesce(n.block_time, n.first_seen_at) AS at
    FROM net n
    JOIN LATERAL (
        SELECT DISTINCT coalesce(po.script_id, so.script_id) AS script_id
        FROM btcwatch.tx_input i
        LEFT JOIN btcwatch.tx p ON p.txid = i.prev_txid
        LEFT JOIN btcwatch.tx_output po ON po.tx_id = p.id AND po.n = i.prev_n
        LEFT JOIN btcwatch.stated_output so ON so.txid = i.prev_txid AND so.n = i.prev_n
        WHERE i.tx_id = n.tx_id
    ) o ON o.script_id IS NOT NULL AND o.script_id <> n.script_id
    WHERE n.debits = 0
    UNION ALL
    SELECT n.script_id, n.tx_id, 'out', o.script_id, o.amount, coalesce(n.block_time, n.first_seen_at)
    FROM net n
    JOIN btcwatch.tx_output o ON o.tx_id = n.tx_id AND o.script_id <> n.script_id AND o.amount > 0
    WHERE n.debits > 0
)
SELECT s.address,
       c.address AS counterparty,
       d.direction,
       sum(d.amount)::bigint AS amount_sat,
       round(sum(d.amount)::numeric / 100000000, 8) AS amount_btc,
       count(DISTINCT d.tx_id) AS tx_count,
       min(d.at) AS first_at,
       max(d.at) AS last_at
FROM side d
JOIN btcwatch.script s ON s.id = d.script_id
JOIN btcwatch.script c ON c.id = d.other AND c.address IS NOT NULL
GROUP BY s.address, c.address, d.direction;
COMMENT ON VIEW report.counterparties IS 'An address and the other side: the inputs of what came in, the outputs other than change of what went out; never the co-outputs of a batch.';
COMMENT ON COLUMN report.counterparties.amount_sat IS 'direction out: satoshis paid to the counterparty. direction in: satoshis that the address received in transactions which the counterparty funded, alone or with others (then in full for each).';

CREATE VIEW report.alerts AS
SELECT encode(a.id, 'hex') AS id,
       a.type, a.severity,
       s.address,
       btcwatch.display(t.txid) AS txid,
       a.amount AS amount_sat,
       a.proof,
       a.opened_at,
       CASE coalesce(l.action, '')
           WHEN '' THEN 'open'
           WHEN 'reopen' THEN 'open'
           WHEN 'close' THEN 'closed'
           ELSE 'acknowledged'
       END AS state,
       CASE WHEN l.action = 'close' THEN l.disposition END AS disposition,
       CASE WHEN l.action = 'close' THEN l.at END AS closed_at,
       CASE WHEN l.action = 'close' THEN l.actor END AS closed_by,
       a.quiet,
       a.thread,
       convert_from(a.body, 'UTF8')::jsonb #>> '{data,summary}' AS summary,
       a.seq
FROM btcwatch.alert a
LEFT JOIN btcwatch.script s ON s.id = a.script_id
LEFT JOIN btcwatch.tx t ON t.id = a.tx_id
LEFT JOIN LATERAL (
    SELECT action, disposition, actor, at
    FROM btcwatch.staff_action
    WHERE alert_id = a.id AND action <> 'note'
    ORDER BY id DESC
    LIMIT 1
) l ON true;
COMMENT ON VIEW report.alerts IS 'One row an alert. quiet: recorded and told in the daily report only (dust, deeper confirmations). seq: the order in which they were recorded.';

CREATE VIEW report.deliveries AS
SELECT encode(alert_id, 'hex') AS alert_id, channel, state, attempts, last_error, delivered_at, next_at
FROM btcwatch.delivery;
COMMENT ON VIEW report.deliveries IS 'One row an alert and channel; dead: given up after the last try.';

CREATE VIEW report.coverage AS
SELECT s.address,
       c.from_height, c.to_height,
       c.proof AS grade,
       NULL::timestamptz AS from_time,
       c.at AS to_time,
       'read from ' || coalesce(e.name, 'an explorer') AS how,
       NULL::text AS rests_on
FROM btcwatch.coverage c
JOIN btcwatch.script s ON s.id = c.script_id
LEFT JOIN btcwatch.explorer e ON e.id = c.explorer_id
UNION ALL
SELECT s.address,
       greatest(j.height + 1, f.from_height), f.to_height,
       CASE WHEN f.proves THEN 'proven' ELSE 'reported' END,
       greatest(j.at, f.at), f.until,
       'followed by blocks',
       f.rests_on
FROM btcwatch.joined j
JOIN btcwatch.script s ON s.id = j.script_id
JOIN btcwatch.followed f ON f.to_height > j.height AND f.to_height >= f.from_height;
COMMENT ON VIEW report.coverage IS 'An address and a range of heights, and how it was covered. A debit of an output from before the watch counts once the history is read.';
COMMENT ON COLUMN report.coverage.rests_on IS 'Of blocks followed: what the chain that they are on rests on.';

-- Blocks that a start left out stay left out up to where a later one forks off:
-- what is above is covered from that one on, or left out by it.
CREATE VIEW report.gaps AS
SELECT s.address, g.kind, g.from_height, least(g.to_height, e.fork) AS to_height, g.from_time, g.to_time, g.reason
FROM btcwatch.gap g
LEFT JOIN btcwatch.script s ON s.id = g.script_id
CROSS JOIN LATERAL (
    SELECT min(l.fork) AS fork
    FROM btcwatch.start l
    WHERE l.id > g.start_id
      AND l.begins
) e
WHERE e.fork IS NULL
   OR e.fork >= coalesce(g.from_height, 0);
COMMENT ON VIEW report.gaps IS 'What was not covered, and why; address null: all.';

CREATE VIEW report.explorers AS
SELECT e.name, n.kind, n.operator, n.state, n.tip_height, n.last_success_at, n.last_error, n.last_error_at, n.failovers
FROM btcwatch.explorer e
JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
WHERE n.configured;
COMMENT ON VIEW report.explorers IS 'One row a configured explorer and how it did last.';

-- +goose Down
DROP SCHEMA report CASCADE;
DROP VIEW btcwatch.followed;
DROP VIEW btcwatch.start_begun;
DROP VIEW btcwatch.listing_now;
DROP VIEW btcwatch.vanished;
DROP VIEW btcwatch.moved;
DROP FUNCTION btcwatch.held(bigint, integer, bigint, bigint);
DROP FUNCTION btcwatch.display(bytea);
