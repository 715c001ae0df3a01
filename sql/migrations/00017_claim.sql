-- +goose Up

-- The order in which a channel's deliveries go is that of their alerts. With the
-- number of the alert in the row, an index finds the oldest that waits: else each
-- claim would sort all that do.
ALTER TABLE btcwatch.delivery ADD COLUMN seq bigint;
UPDATE btcwatch.delivery d
SET seq = a.seq
FROM btcwatch.alert a
WHERE a.id = d.alert_id;
ALTER TABLE btcwatch.delivery ALTER COLUMN seq SET NOT NULL;
CREATE INDEX delivery_oldest ON btcwatch.delivery (channel, seq) WHERE state = 'waiting';

ALTER TABLE btcwatch.canary_delivery ADD COLUMN seq bigint;
UPDATE btcwatch.canary_delivery d
SET seq = p.seq
FROM btcwatch.canary_payment p
WHERE p.id = d.alert_id;
ALTER TABLE btcwatch.canary_delivery ALTER COLUMN seq SET NOT NULL;
CREATE INDEX canary_delivery_oldest ON btcwatch.canary_delivery (channel, seq) WHERE state = 'waiting';

-- +goose StatementBegin
CREATE FUNCTION btcwatch.number_delivery() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'delivery' THEN
        SELECT a.seq INTO NEW.seq FROM btcwatch.alert a WHERE a.id = NEW.alert_id;
    ELSE
        SELECT p.seq INTO NEW.seq FROM btcwatch.canary_payment p WHERE p.id = NEW.alert_id;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER number BEFORE INSERT ON btcwatch.delivery
FOR EACH ROW EXECUTE FUNCTION btcwatch.number_delivery();
CREATE TRIGGER number BEFORE INSERT ON btcwatch.canary_delivery
FOR EACH ROW EXECUTE FUNCTION btcwatch.number_delivery();

-- +goose Down
DROP TRIGGER number ON btcwatch.canary_delivery;
DROP TRIGGER number ON btcwatch.delivery;
DROP FUNCTION btcwatch.number_delivery();
ALTER TABLE btcwatch.canary_delivery DROP COLUMN seq;
ALTER TABLE btcwatch.delivery DROP COLUMN seq;
