package sql_test

import (
	"testing"
	"time"

	"btcwatch/alerts"
)

// TestTrialGoesToItsChannelAlone, whatever that channel wants, ahead of nothing
// and counted nowhere.
func TestTrialGoesToItsChannelAlone(t *testing.T) {
	b := told(t, 2)
	id, err := b.store.BeginTrial(t.Context(), "desk", "alice")
	b.must(err)
	b.expect(`SELECT channel FROM report.deliveries WHERE alert_id = '`+id.String()+`'`, "desk")
	b.expect(`SELECT type || ' ' || quiet FROM report.alerts WHERE id = '`+id.String()+`'`, "channel.test true")

	trial, mine, err := b.store.ClaimTrial(t.Context(), id, "desk", time.Hour)
	b.must(err)
	body, err := alerts.Decode(trial.Body)
	b.must(err)
	if !mine || trial.Alert != id || trial.Attempt != 1 || body.Type != alerts.ChannelTest || body.Data.Channel != "desk" {
		t.Errorf("claimed %v, %+v", mine, trial)
	}
	if _, again, err := b.store.ClaimTrial(t.Context(), id, "desk", time.Hour); again || err != nil {
		t.Errorf("claimed twice: %v", err)
	}
	b.must(b.store.WithdrawTrial(t.Context(), id, "desk", "withdrawn")) // it is being tried
	b.must(b.store.TrialFailed(t.Context(), trial, "it refused"))
	b.expect(`SELECT state || ' ' || last_error FROM report.deliveries WHERE alert_id = '`+id.String()+`'`, "dead it refused")

	second, err := b.store.BeginTrial(t.Context(), "desk", "alice")
	b.must(err)
	b.must(b.store.WithdrawTrial(t.Context(), second, "desk", "withdrawn"))
	b.expect(`SELECT state || ' ' || last_error FROM report.deliveries WHERE alert_id = '`+second.String()+`'`, "dead withdrawn")
	if id == second {
		t.Error("two tests are one")
	}

	states, err := b.store.ChannelStates(t.Context())
	b.must(err)
	for _, s := range states {
		if s.Dead != 0 || s.Waiting != 2 {
			t.Errorf("%s: %d wait, %d dead", s.Channel, s.Waiting, s.Dead)
		}
	}
	all, err := b.store.ChannelDeliveries(t.Context())
	b.must(err)
	if len(all) != 2 || all[0].Channel != "desk" || all[0].Dead != 0 || all[0].Waiting != 2 || all[0].LastDelivered != nil {
		t.Errorf("%+v", all)
	}
	b.expect(`SELECT count(*) FROM btcwatch.outage WHERE kind = 'channel'`, "0")
}

// TestTrialOfAChannelThatWent is given up without a word to the other channels.
func TestTrialOfAChannelThatWent(t *testing.T) {
	b := told(t, 0)
	_, err := b.store.BeginTrial(t.Context(), "gone", "alice")
	b.must(err)
	b.must(b.writer.GiveUpUnconfigured(t.Context()))
	b.expect(`SELECT channel || ' ' || state FROM report.deliveries`, "gone dead")
	b.expect(`SELECT count(*) FROM report.alerts WHERE type = 'channel.failing'`, "0")
}
