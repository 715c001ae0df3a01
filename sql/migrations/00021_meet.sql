-- +goose Up
-- Who paid whom among listed addresses, and when each list was last read.

-- The contacts of some scripts with any other: in which recorded transaction,
-- unconfirmed or confirmed, who paid whom how much. Payers are the owners of the
-- inputs, payees those of the outputs but for change, never the co-outputs of a
-- batch. amount is what the payee received in it, in full for each payer.
-- stated: that the payer paid is only an explorer's word, or follows from a key
-- that the input reveals.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.contacts(of bigint[])
RETURNS TABLE (tx_id bigint, payer bigint, payee bigint, amount bigint, stated boolean)
LANGUAGE sql STABLE AS $$
    WITH one AS MATERIALIZED (
        SELECT DISTINCT u.id FROM unnest(of) AS u (id)
    ), candidate AS MATERIALIZED (
        SELECT o.tx_id
        FROM one JOIN btcwatch.tx_output o ON o.script_id = one.id
        UNION
        SELECT i.tx_id
        FROM one
        JOIN btcwatch.tx_output o ON o.script_id = one.id
        JOIN btcwatch.tx p ON p.id = o.tx_id
        JOIN btcwatch.tx_input i ON i.prev_txid = p.txid AND i.prev_n = o.n
        UNION
        SELECT i.tx_id
        FROM one
        JOIN btcwatch.stated_output s ON s.script_id = one.id
        JOIN btcwatch.tx_input i ON i.prev_txid = s.txid AND i.prev_n = s.n
        UNION
        SELECT t.tx_id
        FROM one JOIN btcwatch.touch t ON t.script_id = one.id
    ), live AS MATERIALIZED (
        SELECT c.tx_id
        FROM candidate c
        JOIN btcwatch.tx_now n ON n.tx_id = c.tx_id AND n.state IN ('unconfirmed', 'confirmed')
    ), paying AS MATERIALIZED (
        SELECT x.tx_id, x.script_id, bool_and(x.stated) AS stated
        FROM (
            SELECT i.tx_id, coalesce(po.script_id, so.script_id) AS script_id, po.script_id IS NULL AS stated
            FROM live
            JOIN btcwatch.tx_input i ON i.tx_id = live.tx_id
            LEFT JOIN btcwatch.tx p ON p.txid = i.prev_txid
            LEFT JOIN btcwatch.tx_output po ON po.tx_id = p.id AND po.n = i.prev_n
            LEFT JOIN btcwatch.stated_output so ON so.txid = i.prev_txid AND so.n = i.prev_n
            UNION ALL
            SELECT m.tx_id, m.script_id, m.stated
            FROM live JOIN btcwatch.moved m ON m.tx_id = live.tx_id AND m.direction = 1
            UNION ALL
            SELECT q.tx_id, q.script_id, q.stated
            FROM live JOIN btcwatch.pending q ON q.tx_id = live.tx_id AND q.direction = 1
        ) x
        WHERE x.script_id IS NOT NULL
        GROUP BY x.tx_id, x.script_id
    ), paid AS MATERIALIZED (
        SELECT o.tx_id, o.script_id, sum(o.amount)::bigint AS amount
        FROM live JOIN btcwatch.tx_output o ON o.tx_id = live.tx_id
        GROUP BY o.tx_id, o.script_id
        HAVING sum(o.amount) > 0
    )
    SELECT p.tx_id, p.script_id, q.script_id, q.amount, p.stated
    FROM paying p
    JOIN paid q ON q.tx_id = p.tx_id AND q.script_id <> p.script_id
    WHERE (p.script_id IN (SELECT id FROM one) OR q.script_id IN (SELECT id FROM one))
      AND NOT EXISTS (SELECT FROM paying c WHERE c.tx_id = q.tx_id AND c.script_id = q.script_id)
$$;
-- +goose StatementEnd
CREATE INDEX stated_output_script ON btcwatch.stated_output (script_id);

-- Each reading of a list from a file or a web address that was taken, also where
-- the list said what it said before.
CREATE TABLE btcwatch.list_read (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list      text NOT NULL,
    origin    text NOT NULL,
    actor     text NOT NULL DEFAULT '', -- empty: the daemon
    at        timestamptz NOT NULL,
    format    text NOT NULL,
    sha256    bytea NOT NULL CHECK (octet_length(sha256) = 32),
    entries   bigint NOT NULL CHECK (entries >= 0),
    held      bigint NOT NULL CHECK (held BETWEEN 0 AND entries),
    import_id bigint REFERENCES btcwatch.import -- null: nothing was new
);
CREATE INDEX list_read_list ON btcwatch.list_read (list, id);
INSERT INTO btcwatch.list_read (list, origin, actor, at, format, sha256, entries, held, import_id)
SELECT i.list, i.origin, i.actor, i.at, i.format, i.sha256, i.entries, (SELECT count(*) FROM btcwatch.held h WHERE h.import_id = i.id), i.id
FROM btcwatch.import i
WHERE i.sha256 IS NOT NULL
ORDER BY i.id;

-- Readings of lists that failed or were refused. Nothing of them was taken.
CREATE TABLE btcwatch.list_failure (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list   text NOT NULL,
    origin text NOT NULL,
    at     timestamptz NOT NULL,
    kind   text NOT NULL CHECK (kind IN ('unreachable', 'fault', 'size')),
    reason text NOT NULL,
    after  bigint -- the last reading before that was taken; null: there was none
);
CREATE INDEX list_failure_list ON btcwatch.list_failure (list, id);

-- How many histories were not read when a change of the list was told, and that
-- the rest was told when they were.
ALTER TABLE btcwatch.import_told
    ADD COLUMN missing bigint NOT NULL DEFAULT 0 CHECK (missing >= 0);
CREATE INDEX import_told_missing ON btcwatch.import_told (import_id) WHERE missing > 0;
CREATE TABLE btcwatch.import_past_told (
    import_id bigint PRIMARY KEY REFERENCES btcwatch.import,
    at        timestamptz NOT NULL
);

CREATE VIEW report.lists AS
SELECT n.list,
       (SELECT count(*) FROM btcwatch.listing_now l WHERE l.list = n.list) AS addresses,
       (SELECT count(*) FROM btcwatch.held_now h WHERE h.list = n.list) AS held,
       r.at AS read_at,
       n.changed_at,
       r.entries,
       r.format,
       coalesce(r.origin, n.list) AS origin,
       encode(r.sha256, 'hex') AS sha256,
       f.at AS failed_at,
       f.reason AS failure
FROM (
    SELECT x.list, max(x.changed_at) AS changed_at
    FROM (
        SELECT list, max(recorded_at) AS changed_at FROM btcwatch.listing GROUP BY list
        UNION ALL
        SELECT list, NULL FROM btcwatch.list_read GROUP BY list
        UNION ALL
        SELECT list, NULL FROM btcwatch.list_failure GROUP BY list
    ) x
    GROUP BY x.list
) n
LEFT JOIN LATERAL (
    SELECT * FROM btcwatch.list_read r WHERE r.list = n.list ORDER BY r.id DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT *
    FROM btcwatch.list_failure f
    WHERE f.list = n.list
      AND f.after IS NOT DISTINCT FROM r.id
    ORDER BY f.id DESC
    LIMIT 1
) f ON true;
COMMENT ON VIEW report.lists IS 'One row a list: how many addresses it has here, and as of when it was read.';
COMMENT ON COLUMN report.lists.list IS 'Its name: config for the configuration file, command for what watch add added.';
COMMENT ON COLUMN report.lists.addresses IS 'Addresses in force.';
COMMENT ON COLUMN report.lists.held IS 'Entries of the newest file that are not watched; report.held has each with the reason.';
COMMENT ON COLUMN report.lists.read_at IS 'When its file was last read and taken (UTC); null where it comes from no file.';
COMMENT ON COLUMN report.lists.changed_at IS 'When it last changed here (UTC); null where none of its entries was ever watched.';
COMMENT ON COLUMN report.lists.entries IS 'Entries of the file that was last read, those held included; null where it comes from no file.';
COMMENT ON COLUMN report.lists.format IS 'Of the file that was last read; null where it comes from no file.';
COMMENT ON COLUMN report.lists.origin IS 'The file or the web address; config or command.';
COMMENT ON COLUMN report.lists.sha256 IS 'Of the file that was last read, in hex; null where it comes from no file.';
COMMENT ON COLUMN report.lists.failed_at IS 'When reading it again failed or was refused, and nothing was taken since (UTC); null: it did not.';
COMMENT ON COLUMN report.lists.failure IS 'Why; null where it did not fail.';

-- +goose Down
DROP VIEW report.lists;
DROP TABLE btcwatch.import_past_told;
DROP INDEX btcwatch.import_told_missing;
ALTER TABLE btcwatch.import_told
    DROP COLUMN missing;
DROP TABLE btcwatch.list_failure;
DROP TABLE btcwatch.list_read;
DROP INDEX btcwatch.stated_output_script;
DROP FUNCTION btcwatch.contacts(bigint[]);
