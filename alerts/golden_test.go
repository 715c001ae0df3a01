package alerts

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew; read every difference before keeping it")

// The facts of these payments are invented, but for the two addresses of the
// article and the shape of real data.
const (
	articleOne = "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG"
	articleTwo = "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"
	someTxID   = "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"
	someBlock  = "00000000000000000001c5e9a4d2c7f1b0a1929e3a5c3f1d8e6b4a7c9d0e1f2a"
)

func testKey() Key { return Key("0123456789abcdef0123456789abcdef") }

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

func ptr[T any](v T) *T { return &v }

func pressListing() Listing {
	return Listing{
		List: "config", Basis: "press",
		Source: `Uran Botobekov, "Central Asian Jihadists' Use of Cryptocurrencies in Bitcoin"`,
	}
}

func incoming() Payment {
	return Payment{
		Network: "mainnet", Address: articleOne, Label: "Botobekov article, address 1 of 2",
		Listings: []Listing{pressListing()},
		TxID:     someTxID, Direction: In, AmountSat: ptr[int64](1_500_000), FeeSat: ptr[int64](2_260),
		State: Unconfirmed, Proof: Reported, ReportedBy: []string{"mempool.space"},
		OccurredAt: at("2026-03-01T11:59:58Z"), ObservedAt: at("2026-03-01T12:00:05.123456789Z"),
		Depths: []int32{1, 6}, BalanceSat: ptr[int64](25_000_000), FirstActivityAt: ptr(at("2019-05-02T08:00:00Z")),
		Counterparties: []Counterparty{
			{Address: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", AmountSat: ptr[int64](400_000)},
			{Address: articleTwo, AmountSat: ptr[int64](1_102_260), Listings: []Listing{pressListing()}},
		},
		Links: []string{"https://mempool.space/tx/" + someTxID},
	}
}

func confirmed() Payment {
	p := incoming()
	p.Direction, p.State, p.Proof = Out, Confirmed, Proven
	p.AmountSat, p.BalanceSat = ptr[int64](123_456_789_000), nil
	p.RestsOn = "block 800,000, at which the operator started it"
	p.BlockHeight, p.BlockHash, p.Confirmations = ptr[int32](840_123), someBlock, 1
	p.OccurredAt, p.ReportedBy = at("2026-03-01T12:10:00Z"), nil
	return p
}

func historic() Payment {
	p := confirmed()
	p.Direction, p.AmountSat, p.Historic, p.Proof = Within, ptr[int64](2_260), true, Corroborated
	p.ReportedBy = []string{"mempool.space", "blockstream.info"}
	return p
}

func dailyReport() Report {
	return Report{
		Network: "mainnet", Date: "2026-03-02", At: at("2026-03-02T07:00:00Z"),
		From: at("2026-03-01T07:00:00Z"), To: at("2026-03-02T07:00:00Z"),
		Addresses: 2, Blocks: &BlockRange{From: 840_100, To: 840_243, Proof: Proven},
		Payments:  []PaymentSum{{Severity: Medium, Direction: In, Count: 2, AmountSat: 3_000_000}, {Severity: High, Direction: Out, Count: 1, Unknown: 1}},
		DustCount: 3, DustSat: 1_638, Deeper: 2,
		Explorers: []ExplorerDay{
			{Name: "mempool.space", State: "ok", TipHeight: ptr[int32](840_243), LastSuccess: ptr(at("2026-03-02T06:59:31Z")), RoundSeconds: 60},
			{Name: "blockstream.info", State: "limited", TipHeight: ptr[int32](840_243), LastSuccess: ptr(at("2026-03-02T06:58:00Z")), RoundSeconds: 165},
		},
		Waiting: 1, WaitingFor: ptr(at("2026-03-02T06:50:00Z")), Open: 3,
		OldestOpen: &OpenAlert{ID: "00112233445566778899aabbccddeeff", OpenedAt: at("2026-02-20T10:00:00Z"), Severity: High, Summary: "A transaction takes 1 BTC out of " + articleTwo + "."},
		Versions:   []string{"btcwatch 1.0.0", "PostgreSQL 16.4"},
	}
}

func badReport() Report {
	r := dailyReport()
	r.Payments, r.DustCount, r.Deeper, r.Dead = nil, 0, 0, 2
	r.Explorers[1].State = "failing"
	r.WaitingFor = ptr(at("2026-03-02T01:30:00Z"))
	r.Gaps = []Gap{
		{Kind: "blocks", FromHeight: ptr[int32](840_150), ToHeight: ptr[int32](840_152), Reason: "no explorer served them"},
		{Kind: "mempool", From: ptr(at("2026-03-02T03:00:00Z")), Reason: "every explorer is failing"},
	}
	return r
}

func canaryReport() Report {
	r := dailyReport()
	r.Canary = &CanaryDay{Arrived: ptr(at("2026-02-28T06:00:00Z")), TookSeconds: ptr(1.26), Seen: 41, Missed: 2, Unsighted: 5, Overdue: true}
	return r
}

// fullReport has everything that a report can have, and text in it that wants to
// be more than text.
func fullReport() Report {
	r := badReport()
	r.Payments = append(dailyReport().Payments, PaymentSum{Severity: Severe, Direction: In, Count: 1_234, AmountSat: 123_456_789_000, Unknown: 2})
	r.DustCount, r.DustSat, r.DustAddresses = 3, 1_638, 2
	r.NewAlerts = []SeverityCount{{Severe, 1_236, 1}, {High, 1, 0}, {Medium, 2, 1}, {Low, 0, 4}}
	r.Ages = &AlertAges{Day: 1, Week: 1, Older: 1, Acknowledged: 12, Closed: 1_500}
	r.Lists = &ListDay{Changes: 2, Added: 434, Changed: 1, Retired: 3}
	r.Record = &RecordDay{Height: ptr[int32](840_243), Hash: someBlock, Commits: 12_345, Head: "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"}
	r.Fiat = &FiatDay{Currency: "EUR", Rate: "82304.00", Source: "mempool.space", Time: ptr(at("2026-03-02T04:00:00Z")), Aged: true, Disputed: []string{"<b>bad</b>", "mempool.space"}}
	r.Explorers[0].Name = `<script>alert("1")</script>`
	r.Gaps[1].Reason = "a \u202ereason\nwith <i>marks</i> & more"
	return r
}

// inFiat is a payment of which it is known what it was worth.
func inFiat() Payment {
	p := incoming()
	p.FiatCurrency = "EUR"
	p.Fiat = &Fiat{Minor: 123_456, Currency: "EUR", Source: "mempool.space", At: at("2026-03-01T11:55:00Z")}
	return p
}

func listChange() ListChange {
	return ListChange{
		Network: "mainnet", Import: 7, At: at("2026-03-01T12:00:00Z"), Origin: "/etc/btcwatch/config.toml",
		Added: ListPart{Count: 3, Some: []ListedAddress{
			{Address: articleOne, Label: "Botobekov article, address 1 of 2", Listings: []Listing{pressListing()}},
			{Address: articleTwo, Label: "Botobekov article, address 2 of 2", Listings: []Listing{{List: "ofac", Basis: "designation", Category: "SDGT", Source: "OFAC SDN"}}},
		}},
		Retired:          ListPart{Some: []ListedAddress{{Address: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Listings: []Listing{{Basis: "own", List: "hot wallets"}}}}},
		HistoricPayments: 1_234, HistoricAddresses: 2, HistoricReceivedSat: ptr[int64](123_456_789), HistoricSentSat: ptr[int64](23_456_789),
		HistoryProof: Reported, HistoryMissing: 1,
	}
}

// metChange is a change that shows dealings of before.
func metChange() ListChange {
	c := listChange()
	first, last := at("2020-08-13T10:00:00Z"), at("2020-09-01T10:00:00Z")
	c.Past, c.HistoryMissing = true, 0
	c.Met = &Met{Count: 12, Some: []Meeting{
		{
			Payer:     Party{Address: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Lists: []string{"hot wallets"}, Bases: []string{"own"}},
			Payee:     Party{Address: articleOne, Label: "Botobekov article, address 1 of 2", Lists: []string{"config", "ofac"}, Bases: []string{"press", "designation"}, Added: true},
			AmountSat: 12_345_678, TxCount: 3, FirstAt: &first, LastAt: &last, Proof: Proven, Historic: true,
		},
		{
			Payer: Party{Address: articleOne, Lists: []string{"a", "b", "c", "d"}, Added: true}, Payee: Party{Address: articleTwo, Lists: []string{"ofac"}},
			AmountSat: 1_000, TxCount: 1, Proof: Reported, Historic: true,
		},
	}}
	return c
}

func outage(name string) Outage {
	return Outage{
		Network: "mainnet", Name: name, Episode: 12, Since: at("2026-03-01T10:00:00Z"),
		At: at("2026-03-01T11:30:45Z"), Reason: "2 of 2 explorers do not answer",
	}
}

// blindness is an outage of the watch itself, with a reason that fits it.
func blindness(kind, name string) Outage {
	o := outage(name)
	o.Kind = kind
	switch kind {
	case "tip", "canary":
		o.Reason = ""
	case "backlog":
		o.Reason = "62 blocks behind, 40 half an hour before"
	case "schedule":
		o.Reason = "it was due and did not begin"
	case "delivery":
		o.Reason = "it answered 500 Internal Server Error"
	}
	return o
}

func told(t *testing.T) func(Alert, bool) Alert {
	return func(a Alert, ok bool) Alert {
		t.Helper()
		if !ok {
			t.Fatal("nothing is told")
		}
		return a
	}
}

// samples is one alert of every sort, as people read it.
func samples(t *testing.T) map[string]Alert {
	must := told(t)
	signet := incoming()
	signet.Network, signet.Label, signet.AmountSat, signet.BalanceSat = "signet", "", nil, nil
	signet.Proof, signet.ReportedBy, signet.Counterparties = Corroborated, []string{"one", "two", "three"}, nil
	gone := confirmed()
	gone.Direction, gone.AmountSat, gone.State, gone.ObservedAt = In, ptr[int64](1_500_000), Unconfirmed, at("2026-03-01T12:40:00Z")
	gone.Proof, gone.ReportedBy = Reported, []string{"mempool.space"}
	over := blindness("mempool", "mempool")
	over.Until, over.Hole.Closed = over.At, ptr(false)
	kept := blindness("tip", "tip")
	kept.Until, kept.Hole = kept.At, Hole{Closed: ptr(true), Blocks: 9, From: 840_001, To: 840_009, Older: 8}
	late := blindness("delivery", "desk")
	late.Until, late.Hole = late.At, Hole{Closed: ptr(true), Late: 4}
	unusable, alive := blindness("canary", "canary"), blindness("canary", "canary")
	unusable.Reason, alive.Until = CanaryWatched, alive.At
	flapping := outage("mempool.space")
	flapping.Times = 7
	stopped := Stopped{
		Network: "mainnet", Episode: 12, Explorer: "mempool.space", Height: 840_300, Fork: 840_123, Weighed: true, From: 840_124,
		Theirs: someBlock, Ours: "00000000000000000002aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", At: at("2026-03-01T11:30:45Z"),
	}
	refollowed := Refollowed{
		Network: "mainnet", Start: 2, Height: 840_130, Hash: someBlock, Stays: 840_123, Joined: true, Old: 840_300, OldTip: stopped.Ours,
		GapFrom: ptr[int32](840_124), GapTo: ptr[int32](840_129), Payments: 3, Actor: "alice", Reason: "compared with our own node, ticket 17",
		Episode: ptr[int64](12), At: at("2026-03-01T12:30:45Z"),
	}
	again := BegunAgain{
		Network: "mainnet", Start: 3, Height: 840_000, Depth: 7, OldTip: someBlock, At: at("2026-03-01T12:30:45Z"),
		RestsOn: "the agreement of Blockstream and mempool.space on block 840,000",
	}
	unpriced, disputed := inFiat(), confirmed()
	unpriced.Fiat = nil
	disputed.FiatCurrency = "JPY"
	disputed.Fiat = &Fiat{Minor: 16_049_382_570, Currency: "JPY", Source: "my <table>", At: at("2026-03-01T12:00:00Z"), Disputed: true}
	often := Accumulated{
		Network: "mainnet", Address: articleOne, Label: "Botobekov article, address 1 of 2", Listings: []Listing{pressListing()}, Proof: Reported,
		Rule: Rule{Name: "structuring", Severity: High, Over: 72 * time.Hour}, At: at("2026-03-01T12:00:05Z"),
		Window: Window{Rule: "structuring", From: at("2026-02-27T08:00:00Z"), To: at("2026-03-01T12:00:00Z"), Count: 12, SumSat: 150_000_000, Unknown: 1,
			TxIDs: []string{someTxID, someBlock}, More: 10},
	}
	summed := Summary{
		Network: "mainnet", Address: articleOne, Label: "Botobekov article, address 1 of 2", Listings: []Listing{pressListing()}, Severity: High, First: ID{4}, Burst: 20,
		At: at("2026-03-01T13:00:05Z"),
		Summed: Summed{Channel: "mail", Reason: "burst", From: at("2026-03-01T11:58:00Z"), To: at("2026-03-01T12:59:30Z"), Count: 1_237, InSat: 1_500_000, OutSat: 250_000_000, Unknown: 2,
			Of:  []SummedOf{{TransactionConfirmed, "high", 37}, {TransactionReplaced, "medium", 1_200}},
			IDs: []string{"00112233445566778899aabbccddeeff", "10112233445566778899aabbccddeeff"}, More: 1_235},
	}
	digest := Summary{
		Network: "mainnet", Severity: Medium, First: ID{5}, Burst: 20, At: at("2026-03-02T08:00:05Z"),
		Summed: Summed{Channel: "mail", Reason: "digest", From: at("2026-03-01T08:58:00Z"), To: at("2026-03-02T03:59:30Z"), Count: 31, InSat: 1_500_000, OutSat: 250_000,
			Of:  []SummedOf{{TransactionConfirmed, "medium", 30}, {TransactionReplaced, "medium", 1}},
			IDs: []string{"00112233445566778899aabbccddeeff"}, More: 30,
			Addresses: []SummedAddress{{articleOne, "Botobekov article, address 1 of 2", 30, "medium", 1_500_000, 0}, {articleTwo, "", 1, "medium", 0, 250_000}}, MoreAddresses: 2},
	}
	quiet := digest
	quiet.First, quiet.Summed.Reason, quiet.Summed.MoreAddresses = ID{6}, "quiet", 0
	return map[string]Alert{
		"summed":        summed.Alert(testKey()),
		"digest":        digest.Alert(testKey()),
		"quiet-hours":   quiet.Alert(testKey()),
		"fiat":          must(inFiat().Seen(testKey())),
		"fiat-none":     must(unpriced.Seen(testKey())),
		"fiat-disputed": must(disputed.Confirmed(testKey(), 1, true)),
		"daily-full":    fullReport().Alert(testKey()),
		"rule":          often.Alert(testKey()),
		"stopped":       stopped.Alert(testKey()),
		"goes-on":       GoesOn{Network: "mainnet", Episode: 12, Height: 840_300, At: at("2026-03-01T12:30:45Z")}.Alert(testKey()),
		"refollowed":    refollowed.Alert(testKey()),
		"begun-again":   again.Alert(testKey()),
		"seen":          must(incoming().Seen(testKey())),
		"seen-unknown":  must(signet.Seen(testKey())),
		"confirmed":     must(confirmed().Confirmed(testKey(), 1, true)),
		"historic":      must(historic().Confirmed(testKey(), 1, true)),
		"reorged":       must(gone.Reorged(testKey(), ID{1, 2, 3})),
		"failing":       outage("mempool.space").ExplorerFailing(testKey()),
		"recovered":     outage("mempool.space").ExplorerRecovered(testKey()),
		"flapped":       flapping.ExplorerRecovered(testKey()),
		"quiet":         blindness("quiet", "quiet").Quiet(testKey(), 2*time.Hour),
		"blind":         blindness("blocks", "blocks").Blind(testKey()),
		"blind-tip":     blindness("tip", "tip").Blind(testKey()),
		"blind-behind":  blindness("backlog", "backlog").Blind(testKey()),
		"blind-job":     blindness("schedule", "mempool").Blind(testKey()),
		"blind-canary":  blindness("canary", "canary").Blind(testKey()),
		"no-canary":     unusable.Blind(testKey()),
		"canary-again":  alive.Restored(testKey()),
		"blind-late":    blindness("delivery", "desk").Blind(testKey()),
		"tip-again":     kept.Restored(testKey()),
		"late-over":     late.Restored(testKey()),
		"restored":      over.Restored(testKey()),
		"list":          listChange().Alert(testKey()),
		"list-met":      metChange().Alert(testKey()),
		"list-failing": ListFailure{Network: "mainnet", List: "ofac", Failure: 3, Origin: "https://lists.example/sdn.xml", ReadAt: ptr(at("2026-02-28T04:41:00Z")),
			Reason: "line 7: a DOCTYPE or another directive: no list of OFAC has one", At: at("2026-03-01T04:41:00Z")}.Alert(testKey()),
		"list-recovered": ListRecovery{Network: "mainnet", List: "ofac", Failure: 3, Since: at("2026-03-01T04:41:00Z"), At: at("2026-03-02T04:41:00Z")}.Alert(testKey()),
		"channel":        DeadDeliveries{Network: "mainnet", Channel: "desk", Episode: 3, Count: 2, Since: at("2026-02-26T08:00:00Z"), At: at("2026-03-01T12:00:00Z"), Reason: "it answered 500 Internal Server Error"}.Alert(testKey()),
		"daily":          dailyReport().Alert(testKey()),
		"daily-bad":      badReport().Alert(testKey()),
		"daily-canary":   canaryReport().Alert(testKey()),
	}
}

func TestTextsReadAsTheyDid(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Almaty")
	if err != nil {
		t.Skip("this machine has no time zones: ", err)
	}
	for name, a := range samples(t) {
		body, err := Decode(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := "Subject: " + Subject(body) + "\n\n" + Text(body, zone)
		golden(t, name+".txt", got)
	}
	body, _ := Decode(samples(t)["seen"].Body)
	golden(t, "seen.html", HTML(body, zone))
	golden(t, "seen.json", string(samples(t)["seen"].Body)+"\n")
	golden(t, "fiat.json", string(samples(t)["fiat"].Body)+"\n")
	body, _ = Decode(samples(t)["daily-full"].Body)
	golden(t, "daily-full.html", HTML(body, zone))
	golden(t, "daily-full.json", string(samples(t)["daily-full"].Body)+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n--- got\n%s--- want\n%s", name, got, want)
	}
}
