-- +goose Up

-- Projection: that a payment counts for a rule over time, and in which window it
-- was told; null: in none yet. Rows older than any window are taken out.
CREATE TABLE btcwatch.rule_payment (
    script_id bigint NOT NULL REFERENCES btcwatch.script,
    rule      text NOT NULL,
    tx_id     bigint NOT NULL REFERENCES btcwatch.tx,
    at        timestamptz NOT NULL, -- block time, or first sight
    amount    bigint CHECK (amount BETWEEN 0 AND 2100000000000000), -- net effect; null: not known
    proof     text NOT NULL CHECK (proof IN ('reported', 'corroborated', 'proven')), -- as of the last word about it
    window_id bigint,
    PRIMARY KEY (script_id, rule, tx_id)
);
CREATE INDEX rule_payment_at ON btcwatch.rule_payment (script_id, rule, at);

-- That payments of an address came to what a rule over time names.
CREATE TABLE btcwatch.rule_window (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id    bytea NOT NULL UNIQUE REFERENCES btcwatch.alert,
    script_id   bigint NOT NULL REFERENCES btcwatch.script,
    rule        text NOT NULL,
    from_at     timestamptz NOT NULL, -- of the first payment in it
    to_at       timestamptz NOT NULL, -- and of the last
    count       bigint NOT NULL CHECK (count > 0),
    unknown     bigint NOT NULL CHECK (unknown BETWEEN 0 AND count), -- payments without an amount, not in the sum
    sum         bigint NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX rule_window_script ON btcwatch.rule_window (script_id, rule);
ALTER TABLE btcwatch.rule_payment ADD FOREIGN KEY (window_id) REFERENCES btcwatch.rule_window;

CREATE VIEW report.rule_windows AS
SELECT encode(w.alert_id, 'hex') AS alert_id,
       w.rule,
       s.address,
       w.from_at,
       w.to_at,
       w.count AS payments,
       w.unknown AS amounts_unknown,
       w.sum AS sum_sat,
       round(w.sum::numeric / 100000000, 8) AS sum_btc,
       w.recorded_at
FROM btcwatch.rule_window w
JOIN btcwatch.script s ON s.id = w.script_id;
COMMENT ON VIEW report.rule_windows IS 'One row a time that payments at one address came, within the time that a rule of the configuration names, to its sum or count. Each payment is in one window of a rule at most.';
COMMENT ON COLUMN report.rule_windows.alert_id IS 'Of the alert rule.NAME that told it, as in report.alerts.';
COMMENT ON COLUMN report.rule_windows.rule IS 'Name of the rule in the configuration, as it was then.';
COMMENT ON COLUMN report.rule_windows.address IS 'The watched address.';
COMMENT ON COLUMN report.rule_windows.from_at IS 'Time of the first payment in it: block time, or first sight of one that was unconfirmed. UTC.';
COMMENT ON COLUMN report.rule_windows.to_at IS 'Time of the last payment in it, likewise. UTC.';
COMMENT ON COLUMN report.rule_windows.payments IS 'How many payments stood when it was told. It is not corrected when one of them is replaced or leaves the chain; that is told of the payment itself.';
COMMENT ON COLUMN report.rule_windows.amounts_unknown IS 'How many of them have an amount that was not known; they are not in the sum.';
COMMENT ON COLUMN report.rule_windows.sum_sat IS 'Sum of their net effects on the address in satoshis, each positive, whichever way the money went.';
COMMENT ON COLUMN report.rule_windows.sum_btc IS 'The same in bitcoin.';
COMMENT ON COLUMN report.rule_windows.recorded_at IS 'When it was told. UTC.';

-- +goose Down
DROP VIEW report.rule_windows;
DROP TABLE btcwatch.rule_payment;
DROP TABLE btcwatch.rule_window;
