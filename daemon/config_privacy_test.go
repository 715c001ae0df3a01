package daemon

import (
	"strings"
	"testing"
)

const (
	oneOfEach = `
[explorers.public]
kind = "esplora"
url = "https://explorer.example/api"

[explorers.node]
kind = "node"
url = "http://127.0.0.1:8332"
own = true

[explorers.electrum]
kind = "electrum"
url = "tcp://127.0.0.1:50001"
OWN

[channels.screen]
kind = "stdout"
`
	ownMode = "[privacy]\nmode = \"own\"\n"
)

// TestNobodyOfOnesOwn: mode own is refused where nobody could be asked, with
// what to do, and taken where somebody can.
func TestNobodyOfOnesOwn(t *testing.T) {
	_, err := Load(write(t, ownMode+strings.Replace(oneOfEach, "OWN", "", 1)), CheckExplorers)
	if err == nil || !strings.Contains(err.Error(), ":2: privacy.mode: with \"own\" nobody could be asked") || !strings.Contains(err.Error(), `mode = "blocks"`) {
		t.Errorf("%v", err)
	}
	c, err := Load(write(t, ownMode+strings.Replace(oneOfEach, "OWN", "own = true", 1)), CheckExplorers)
	if err != nil {
		t.Fatal(err)
	}
	for i, hears := range []bool{false, true, true} {
		if c.Hears(c.Explorers[i]) != hears {
			t.Errorf("%s hears: %v", c.Explorers[i].Name, !hears)
		}
	}
	if rounds := RoundLengths(c, 1000); rounds["public"] != 0 {
		t.Errorf("who is not asked takes part in a round: %v", rounds)
	}
}

// TestBlocksAsksNobody: the jobs that ask are not on the schedule.
func TestBlocksAsksNobody(t *testing.T) {
	c, err := Load(write(t, "[privacy]\nmode = \"blocks\"\n"+strings.Replace(oneOfEach, "OWN", "own = true", 1)), CheckExplorers)
	if err != nil {
		t.Fatal(err)
	}
	if c.Schedule.Mempool != "" || c.Schedule.History != "" || c.Schedule.Blocks == "" {
		t.Errorf("%+v", c.Schedule)
	}
	for _, e := range c.Explorers {
		if c.Hears(e) {
			t.Errorf("%s hears", e.Name)
		}
	}
	c = must(Load(write(t, strings.Replace(oneOfEach, "OWN", "", 1))))
	if c.Privacy.Mode != PrivacyAsk || c.Schedule.Mempool == "" {
		t.Errorf("without a word: %+v %+v", c.Privacy, c.Schedule)
	}
}
