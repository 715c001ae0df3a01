-- +goose Up
-- Work on alerts: who looked at them, and what came of it. The functions of the
-- schema desk do all of it, so that any other front end gives the same record
-- as the commands of this program.
CREATE SCHEMA desk;
COMMENT ON SCHEMA desk IS 'Functions to work on alerts. Each records the session''s login as who did it; the record only ever grows (report.alert_actions).';

-- Repeats of dead deliveries that a person asked for; only ever grows.
CREATE TABLE btcwatch.delivery_retry (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bytea NOT NULL,
    channel  text NOT NULL,
    actor    text NOT NULL,
    at       timestamptz NOT NULL,
    FOREIGN KEY (alert_id, channel) REFERENCES btcwatch.delivery
);

-- +goose StatementBegin
CREATE FUNCTION btcwatch.only_grows() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done is never changed: % of %', lower(TG_OP), TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER stays
BEFORE UPDATE OR DELETE OR TRUNCATE ON btcwatch.staff_action
EXECUTE FUNCTION btcwatch.only_grows();
CREATE TRIGGER stays
BEFORE UPDATE OR DELETE OR TRUNCATE ON btcwatch.delivery_retry
EXECUTE FUNCTION btcwatch.only_grows();

-- What the last action that is no note made of an alert.
CREATE FUNCTION btcwatch.alert_state(alert bytea) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE s.action
                   WHEN 'close' THEN 'closed'
                   WHEN 'acknowledge' THEN 'acknowledged'
                   ELSE 'open'
               END
        FROM btcwatch.staff_action s
        WHERE s.alert_id = $1
          AND s.action <> 'note'
        ORDER BY s.id DESC
        LIMIT 1), 'open')
$$;

-- +goose StatementBegin
-- Refused, as SQLSTATE BW001 and in words for the person, is what cannot be
-- meant: to close without saying what came of it, or what is closed already.
CREATE FUNCTION btcwatch.check_action(action text, disposition text, note text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF action = 'close' AND coalesce(disposition, '') NOT IN ('reported', 'false_positive', 'duplicate', 'no_action') THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'closing needs a disposition: reported, false_positive, duplicate or no_action';
    END IF;
    IF action <> 'acknowledge' AND btrim(coalesce(note, ''), E' \t\n') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'a note is missing: say why, for whoever has to understand this in a year';
    END IF;
    IF char_length(note) > 4000 THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'the note has ' || char_length(note) || ' characters, and may have 4000: name a document instead';
    END IF;
    IF note ~ E'[\\x01-\\x08\\x0b-\\x1f\\x7f-\\x9f]' THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'the note holds a control character other than a line break';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- One after the other: what two people do at once to an alert has an order.
CREATE FUNCTION btcwatch.act(alert text, action text, disposition text, note text, actor text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    alert_key bytea;
    before text;
    last record;
BEGIN
    PERFORM btcwatch.check_action(action, disposition, note);
    PERFORM pg_advisory_xact_lock(26740, 1);
    SELECT a.id
    INTO alert_key
    FROM btcwatch.alert a
    WHERE encode(a.id, 'hex') = lower(act.alert)
      AND a.id = decode(CASE WHEN act.alert ~ '^[0-9a-fA-F]{32}$' THEN act.alert ELSE '' END, 'hex');
    IF alert_key IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001', MESSAGE = 'no alert has the id ' || left(alert, 64);
    END IF;
    before := btcwatch.alert_state(alert_key);
    SELECT s.actor, s.at
    INTO last
    FROM btcwatch.staff_action s
    WHERE s.alert_id = alert_key
      AND s.action <> 'note'
    ORDER BY s.id DESC
    LIMIT 1;
    IF before = 'closed' AND action IN ('acknowledge', 'close') THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'closed already, by ' || last.actor || ' on ' || to_char(last.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                || ' UTC: reopen it first';
    END IF;
    IF before <> 'closed' AND action = 'reopen' THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001', MESSAGE = 'not closed, but ' || before;
    END IF;
    INSERT INTO btcwatch.staff_action (alert_id, action, disposition, note, actor, at)
    VALUES (alert_key, action, CASE WHEN action = 'close' THEN disposition END, coalesce(note, ''), actor, clock_timestamp());
    RETURN btcwatch.alert_state(alert_key);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- What is for the daily report only is nobody's work, and stays out of it.
CREATE FUNCTION btcwatch.close_all(address text, before timestamptz, disposition text, note text, actor text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    closed bigint;
BEGIN
    PERFORM btcwatch.check_action('close', disposition, note);
    IF address IS NULL OR before IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001', MESSAGE = 'closing several needs an address and a time';
    END IF;
    PERFORM pg_advisory_xact_lock(26740, 1);
    INSERT INTO btcwatch.staff_action (alert_id, action, disposition, note, actor, at)
    SELECT a.id, 'close', close_all.disposition, close_all.note, close_all.actor, clock_timestamp()
    FROM btcwatch.alert a
    JOIN btcwatch.script s ON s.id = a.script_id
    WHERE s.address = close_all.address
      AND a.opened_at < close_all.before
      AND NOT a.quiet
      AND btcwatch.alert_state(a.id) <> 'closed'
    ORDER BY a.seq;
    GET DIAGNOSTICS closed = ROW_COUNT;
    RETURN closed;
END
$$;
-- +goose StatementEnd

CREATE FUNCTION desk.acknowledge(alert text, note text DEFAULT '') RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT btcwatch.act(alert, 'acknowledge', NULL, note, session_user) $$;
COMMENT ON FUNCTION desk.acknowledge IS 'Says that you look at an alert. Gives its state.';

CREATE FUNCTION desk.note(alert text, note text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT btcwatch.act(alert, 'note', NULL, note, session_user) $$;
COMMENT ON FUNCTION desk.note IS 'Adds a note to an alert, whatever its state. Gives its state.';

CREATE FUNCTION desk.close(alert text, disposition text, note text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT btcwatch.act(alert, 'close', disposition, note, session_user) $$;
COMMENT ON FUNCTION desk.close IS 'Closes an alert with what came of it (reported, false_positive, duplicate, no_action) and a note. Gives its state.';

CREATE FUNCTION desk.reopen(alert text, note text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT btcwatch.act(alert, 'reopen', NULL, note, session_user) $$;
COMMENT ON FUNCTION desk.reopen IS 'Opens a closed alert again, with a note why. Gives its state.';

CREATE FUNCTION desk.close_all(address text, before timestamptz, disposition text, note text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT btcwatch.close_all(address, before, disposition, note, session_user) $$;
COMMENT ON FUNCTION desk.close_all IS 'Closes all alerts of a watched address that were opened before a time and are not closed; not those for the daily report only. Gives how many.';

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA desk FROM PUBLIC;

CREATE VIEW report.alert_actions AS
SELECT encode(s.alert_id, 'hex') AS alert_id, s.action, s.disposition, s.note, s.actor, s.at
FROM btcwatch.staff_action s;
COMMENT ON VIEW report.alert_actions IS 'One row an action of staff on an alert, never changed.';
COMMENT ON COLUMN report.alert_actions.alert_id IS 'The alert, as report.alerts has it.';
COMMENT ON COLUMN report.alert_actions.action IS 'acknowledge, note, close or reopen.';
COMMENT ON COLUMN report.alert_actions.disposition IS 'What came of a closed alert: reported, false_positive, duplicate or no_action; null: the action is another.';
COMMENT ON COLUMN report.alert_actions.note IS 'What the person wrote; empty: nothing, which only an acknowledgement may be.';
COMMENT ON COLUMN report.alert_actions.actor IS 'Who: the login on a database server, the user of the operating system (before sudo) on a private cluster.';
COMMENT ON COLUMN report.alert_actions.at IS 'When, by the database''s clock.';

-- +goose Down
DROP VIEW report.alert_actions;
DROP SCHEMA desk CASCADE;
DROP FUNCTION btcwatch.close_all;
DROP FUNCTION btcwatch.act;
DROP FUNCTION btcwatch.check_action;
DROP FUNCTION btcwatch.alert_state;
DROP TRIGGER stays ON btcwatch.staff_action;
DROP TABLE btcwatch.delivery_retry;
DROP FUNCTION btcwatch.only_grows;
