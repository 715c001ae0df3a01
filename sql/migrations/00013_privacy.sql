-- +goose Up
-- Which watched addresses explorers may be asked about, and what each of them
-- was told.

-- A setting that the daemon took up; the newest holds. None yet: ask.
CREATE TABLE btcwatch.privacy (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('ask', 'own', 'blocks')),
    at   timestamptz NOT NULL
);

CREATE VIEW btcwatch.privacy_now AS
SELECT coalesce((SELECT mode FROM btcwatch.privacy ORDER BY id DESC LIMIT 1), 'ask') AS mode;

-- Whether nobody may be asked about a script: none may be about any, it is
-- confidential, it was when it was retired, or it was never listed.
-- +goose StatementBegin
CREATE FUNCTION btcwatch.private(script bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM btcwatch.privacy_now WHERE mode = 'blocks')
        OR coalesce(
               (SELECT bool_or(f.confidential) FROM btcwatch.listing_now f WHERE f.script_id = script),
               (SELECT bool_or(l.confidential) FROM btcwatch.listing l WHERE l.script_id = script),
               true)
$$;
-- +goose StatementEnd

-- As before, and never while no address may leave.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION btcwatch.askable(tx bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (SELECT FROM btcwatch.privacy_now WHERE mode = 'blocks')
       AND NOT EXISTS (
        SELECT FROM btcwatch.touch u
        JOIN btcwatch.listing l ON l.script_id = u.script_id AND l.confidential
        WHERE u.tx_id = tx
          AND coalesce((SELECT bool_or(f.confidential) FROM btcwatch.listing_now f WHERE f.script_id = u.script_id), true))
$$;
-- +goose StatementEnd

-- An explorer, and who ran it when it was asked.
CREATE TABLE btcwatch.hearer (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    explorer_id integer NOT NULL REFERENCES btcwatch.explorer,
    operator    text NOT NULL,
    UNIQUE (explorer_id, operator)
);

-- How often an explorer was asked about an address on a UTC day. Nothing is
-- ever deleted here. What is about to be asked is announced first, and counted
-- as asked afterwards: announced is what a program that was killed may or may not
-- have asked. No foreign key to the script, as in the tables that grow alike.
CREATE TABLE btcwatch.disclosure (
    script_id bigint NOT NULL,
    day       date NOT NULL,
    hearer_id integer NOT NULL REFERENCES btcwatch.hearer,
    about     text NOT NULL CHECK (about IN ('address', 'transaction')),
    asked     bigint NOT NULL DEFAULT 0 CHECK (asked >= 0),
    announced bigint NOT NULL DEFAULT 0 CHECK (announced >= 0),
    PRIMARY KEY (script_id, day, hearer_id, about)
) WITH (fillfactor = 70);

CREATE VIEW report.disclosures AS
SELECT s.address,
       e.name AS explorer,
       h.operator,
       d.day,
       d.about,
       d.asked + d.announced AS asked,
       d.announced AS unsure
FROM btcwatch.disclosure d
JOIN btcwatch.script s ON s.id = d.script_id
JOIN btcwatch.hearer h ON h.id = d.hearer_id
JOIN btcwatch.explorer e ON e.id = h.explorer_id
WHERE d.asked + d.announced > 0;
COMMENT ON VIEW report.disclosures IS 'Who was told of a watched address, and how often: one row an address, explorer, UTC day and kind of question. Never deleted. What explorers infer from other questions is in docs/privacy.md.';
COMMENT ON COLUMN report.disclosures.address IS 'The watched address that the question was about, or that the transaction asked about concerns.';
COMMENT ON COLUMN report.disclosures.explorer IS 'The name in the configuration of who was asked.';
COMMENT ON COLUMN report.disclosures.operator IS 'Who ran that explorer then, by the configuration.';
COMMENT ON COLUMN report.disclosures.day IS 'The UTC day of the questions.';
COMMENT ON COLUMN report.disclosures.about IS 'address: the question named the address, or the hash of its script. transaction: it named a transaction of it, or one whose output such a transaction spends.';
COMMENT ON COLUMN report.disclosures.asked IS 'Number of questions, never less than there were; a history read page by page is one, and a repeat after a failure within one question is not counted again.';
COMMENT ON COLUMN report.disclosures.unsure IS 'How many of asked were announced and not seen through: the program was killed before it knew, or is about to ask. 0: all were put.';

CREATE OR REPLACE VIEW report.coverage AS
SELECT c.address, c.from_height, c.to_height, c.grade, c.from_time, c.to_time, c.how, c.rests_on,
       EXISTS (SELECT FROM btcwatch.coverage h WHERE h.script_id = c.script_id) AS debits_complete,
       CASE
           WHEN n.mode = 'blocks' THEN 'unconfirmed payments are not seen: privacy mode blocks'
           WHEN btcwatch.private(c.script_id) THEN 'unconfirmed payments are not seen: confidential'
       END AS not_seen
FROM (
    SELECT c.script_id, s.address,
           c.from_height, c.to_height,
           c.proof AS grade,
           NULL::timestamptz AS from_time,
           c.at AS to_time,
           CASE WHEN c.proof = 'corroborated' THEN 'read from two independent explorers that agree, last from ' ELSE 'read from ' END
               || coalesce(e.name, 'an explorer') AS how,
           NULL::text AS rests_on
    FROM btcwatch.coverage c
    JOIN btcwatch.script s ON s.id = c.script_id
    LEFT JOIN btcwatch.explorer e ON e.id = c.explorer_id
    WHERE c.proof <> 'reported'
       OR NOT EXISTS (
           SELECT FROM btcwatch.coverage b
           WHERE b.script_id = c.script_id AND b.from_height = c.from_height AND b.to_height = c.to_height AND b.proof = 'corroborated')
    UNION ALL
    SELECT j.script_id, s.address,
           greatest(j.height + 1, f.from_height), f.to_height,
           CASE WHEN f.proves THEN 'proven' ELSE 'reported' END,
           greatest(j.at, f.at), f.until,
           'followed by blocks',
           f.rests_on
    FROM btcwatch.joined j
    JOIN btcwatch.script s ON s.id = j.script_id
    JOIN btcwatch.followed f ON f.to_height > j.height AND f.to_height >= f.from_height
) c
CROSS JOIN btcwatch.privacy_now n;
COMMENT ON COLUMN report.coverage.grade IS 'reported: by the word of one explorer. corroborated: two explorers of different operators and software were read to the end and showed the same payments; that there are no others is not proven by it. proven: blocks verified here.';
COMMENT ON COLUMN report.coverage.debits_complete IS 'Whether spends of outputs from before the watch are recognised with certainty: true once the history before the watch was read. While false, spends that reveal no key or script of the address are missed, and report.balances.balance_sat is null.';
COMMENT ON COLUMN report.coverage.not_seen IS 'What the configuration leaves out, by the setting in force now; null: nothing.';

-- +goose Down
DROP VIEW report.coverage;
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
COMMENT ON VIEW report.coverage IS 'An address and a range of heights, and how it was covered. A debit of an output from before the watch counts once the history is read. A history that was read is never graded proven: each payment in it may be, that there are no others is not.';
COMMENT ON COLUMN report.coverage.rests_on IS 'Of blocks followed: what the chain that they are on rests on.';
DROP VIEW report.disclosures;
DROP TABLE btcwatch.disclosure;
DROP TABLE btcwatch.hearer;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION btcwatch.askable(tx bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT NOT EXISTS (
        SELECT FROM btcwatch.touch u
        JOIN btcwatch.listing l ON l.script_id = u.script_id AND l.confidential
        WHERE u.tx_id = tx
          AND coalesce((SELECT bool_or(f.confidential) FROM btcwatch.listing_now f WHERE f.script_id = u.script_id), true))
$$;
-- +goose StatementEnd
DROP FUNCTION btcwatch.private(bigint);
DROP VIEW btcwatch.privacy_now;
DROP TABLE btcwatch.privacy;
