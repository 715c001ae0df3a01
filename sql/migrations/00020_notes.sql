-- +goose Up
-- A note that was written on Windows has its lines ended by two characters. It
-- is taken, and kept with one.

-- +goose StatementBegin
-- Refused, as SQLSTATE BW001 and in words for the person, is what cannot be
-- meant: to close without saying what came of it, or what is closed already.
CREATE OR REPLACE FUNCTION btcwatch.check_action(action text, disposition text, note text) RETURNS void
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
    IF replace(note, E'\r\n', E'\n') ~ E'[\\x01-\\x08\\x0b-\\x1f\\x7f-\\x9f]' THEN
        RAISE EXCEPTION USING ERRCODE = 'BW001',
            MESSAGE = 'the note holds a control character other than a line break';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION btcwatch.plain_note() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.note := replace(NEW.note, E'\r\n', E'\n');
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER plain BEFORE INSERT ON btcwatch.staff_action
    FOR EACH ROW EXECUTE FUNCTION btcwatch.plain_note();

-- +goose Down
DROP TRIGGER plain ON btcwatch.staff_action;
DROP FUNCTION btcwatch.plain_note();
-- +goose StatementBegin
-- Refused, as SQLSTATE BW001 and in words for the person, is what cannot be
-- meant: to close without saying what came of it, or what is closed already.
CREATE OR REPLACE FUNCTION btcwatch.check_action(action text, disposition text, note text) RETURNS void
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
