-- +goose Up
-- Lists as they come from files and feeds: what each listing rests on, what
-- became of each row that is not watched, and which file said so.

ALTER TABLE btcwatch.listing
    ADD COLUMN version       text NOT NULL DEFAULT '', -- of the list, as it names itself
    ADD COLUMN confidence    smallint CHECK (confidence BETWEEN 0 AND 100), -- of the source; null where it does not say
    ADD COLUMN locator       text NOT NULL DEFAULT '', -- where in the source
    ADD COLUMN quote         text NOT NULL DEFAULT '', -- its words, shortened
    ADD COLUMN in_force_from date, -- null where the source does not say
    ADD COLUMN in_force_to   date,
    ADD COLUMN notify        text NOT NULL DEFAULT '' CHECK (notify IN ('', 'each', 'digest', 'record')); -- empty: each
CREATE INDEX listing_list ON btcwatch.listing (list, script_id, id);

ALTER TABLE btcwatch.import
    ADD COLUMN list   text NOT NULL DEFAULT '', -- the one list that it is about; empty: more than one
    ADD COLUMN format text NOT NULL DEFAULT '', -- of the file; empty where there was none
    ADD COLUMN sha256 bytea CHECK (octet_length(sha256) = 32), -- of the file
    ADD COLUMN entries bigint CHECK (entries >= 0), -- rows of the file, those held included; null where there was none
    ADD COLUMN held_digest bytea CHECK (octet_length(held_digest) = 32); -- over the rows held; null where there was no file

-- The rows of a file that are not watched, with the reason. A file read again
-- with the same rows held writes none.
CREATE TABLE btcwatch.held (
    import_id bigint NOT NULL REFERENCES btcwatch.import,
    n         bigint NOT NULL, -- in the order of the file
    line      bigint NOT NULL, -- 0 where the format has no lines
    text      text NOT NULL, -- the address as it stands there; never a private key
    symbol    text NOT NULL,
    reason    text NOT NULL CHECK (reason IN ('chain', 'network', 'symbol', 'checksum', 'cut', 'case', 'disguised', 'key', 'form', 'duplicate', 'expired', 'fault')),
    words     text NOT NULL,
    label     text NOT NULL,
    entity    text NOT NULL,
    PRIMARY KEY (import_id, n)
);

-- The rows held of each list, by the newest file that changed them.
CREATE VIEW btcwatch.held_now AS
SELECT i.list, h.*
FROM (
    SELECT DISTINCT ON (list) id, list
    FROM btcwatch.import
    WHERE held_digest IS NOT NULL
    ORDER BY list, id DESC
) i
JOIN btcwatch.held h ON h.import_id = i.id;

CREATE VIEW report.held AS
SELECT h.list, h.line, h.text AS address_text, h.symbol, h.reason, h.words, h.label, h.entity, i.at AS held_since, i.origin
FROM btcwatch.held_now h
JOIN btcwatch.import i ON i.id = h.import_id;
COMMENT ON VIEW report.held IS 'One row an entry of a list that is not watched, by the newest file of the list, with the reason. Nothing of a list is dropped without a row here.';
COMMENT ON COLUMN report.held.list IS 'The name of the list.';
COMMENT ON COLUMN report.held.line IS 'Where the entry stands in the file, from 1; 0 where the format has no lines.';
COMMENT ON COLUMN report.held.address_text IS 'The address as it stands in the file; invisible characters are written out. Not shown where it is or may be a private key.';
COMMENT ON COLUMN report.held.symbol IS 'The coin under which the list has it, as it is spelled there; empty where it names none.';
COMMENT ON COLUMN report.held.reason IS 'chain (of another coin), network (of another Bitcoin network), symbol (a Bitcoin address that the list has under another coin), checksum, cut (a piece of an address), case (upper case lost), disguised (invisible or foreign characters), key, form, duplicate, expired, fault (the file makes no sense there).';
COMMENT ON COLUMN report.held.words IS 'The reason in words.';
COMMENT ON COLUMN report.held.label IS 'What the list calls it; empty where it does not say.';
COMMENT ON COLUMN report.held.entity IS 'Whose it is, according to the list; empty where it does not say.';
COMMENT ON COLUMN report.held.held_since IS 'When the file was read by which these rows were held (UTC).';
COMMENT ON COLUMN report.held.origin IS 'The file or the web address.';

CREATE VIEW report.listings AS
SELECT s.address, l.list, l.label, l.entity, l.category, l.basis, l.confidence, l.version,
       l.title AS source_title, l.author AS source_author, l.publisher AS source_publisher, l.date AS source_date,
       l.url AS source_url, l.locator AS source_locator, l.quote AS source_quote,
       l.in_force_from, l.in_force_to, l.confidential, l.notify,
       l.recorded_at AS known_from, n.recorded_at AS known_to,
       i.origin, i.actor
FROM btcwatch.listing l
JOIN btcwatch.script s ON s.id = l.script_id
JOIN btcwatch.import i ON i.id = l.import_id
LEFT JOIN btcwatch.listing n ON n.supersedes = l.id
WHERE NOT l.retired;
COMMENT ON VIEW report.listings IS 'One row a listing as it was known for a time: what a list said of an address from known_from until known_to. Nothing in it is ever changed; a newer row follows.';
COMMENT ON COLUMN report.listings.address IS 'The address.';
COMMENT ON COLUMN report.listings.list IS 'The name of the list: config for the configuration file, command for what watch add added.';
COMMENT ON COLUMN report.listings.label IS 'What the list calls it; empty where it does not say.';
COMMENT ON COLUMN report.listings.entity IS 'Whose it is, according to the source; empty where it does not say.';
COMMENT ON COLUMN report.listings.category IS 'As the source names it; unknown terms are kept. Empty where it does not say.';
COMMENT ON COLUMN report.listings.basis IS 'Ground of the listing: designation, seizure, court, partner, press, own; empty when not known.';
COMMENT ON COLUMN report.listings.confidence IS 'How sure the source says it is, 0 to 100; null where it does not say.';
COMMENT ON COLUMN report.listings.version IS 'Of the list, as it names itself; empty where it does not.';
COMMENT ON COLUMN report.listings.source_title IS 'The title of the source; empty where it does not say.';
COMMENT ON COLUMN report.listings.source_author IS 'Its author; empty where it does not say.';
COMMENT ON COLUMN report.listings.source_publisher IS 'Its publisher; empty where it does not say.';
COMMENT ON COLUMN report.listings.source_date IS 'Its date, as it gives it; empty where it does not.';
COMMENT ON COLUMN report.listings.source_url IS 'Where it can be read; empty where not known.';
COMMENT ON COLUMN report.listings.source_locator IS 'Where in the source: a page, a row, the number of an entry; empty where not known.';
COMMENT ON COLUMN report.listings.source_quote IS 'The words of the source that name the address, shortened; empty where not kept.';
COMMENT ON COLUMN report.listings.in_force_from IS 'The day from which the source says that it is in force; null where it does not say.';
COMMENT ON COLUMN report.listings.in_force_to IS 'The last day; null where the source does not say.';
COMMENT ON COLUMN report.listings.confidential IS 'True: no explorer is asked about the address.';
COMMENT ON COLUMN report.listings.notify IS 'How people are told below the severity high: each, digest or record; empty: each.';
COMMENT ON COLUMN report.listings.known_from IS 'When this was recorded here (UTC).';
COMMENT ON COLUMN report.listings.known_to IS 'When something else was recorded in its place, or it was retired (UTC); null: it stands.';
COMMENT ON COLUMN report.listings.origin IS 'Where it came from: config, command, a file or a web address.';
COMMENT ON COLUMN report.listings.actor IS 'Who did it; empty where the daemon did.';

-- +goose Down
DROP VIEW report.listings;
DROP VIEW report.held;
DROP VIEW btcwatch.held_now;
DROP TABLE btcwatch.held;
ALTER TABLE btcwatch.import
    DROP COLUMN list,
    DROP COLUMN format,
    DROP COLUMN sha256,
    DROP COLUMN entries,
    DROP COLUMN held_digest;
DROP INDEX btcwatch.listing_list;
ALTER TABLE btcwatch.listing
    DROP COLUMN version,
    DROP COLUMN confidence,
    DROP COLUMN locator,
    DROP COLUMN quote,
    DROP COLUMN in_force_from,
    DROP COLUMN in_force_to,
    DROP COLUMN notify;
