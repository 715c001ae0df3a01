package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
)

// looked is a configuration of explorers over chains of a test.
type looked struct {
	t      *testing.T
	config *Config
}

func (l *looked) add(name, kind, operator string, server interface{ Serve() (string, func()) }) {
	url, stop := server.Serve()
	l.t.Cleanup(stop)
	l.config.Explorers = append(l.config.Explorers, explorer.Settings{Name: name, Kind: kind, URL: url, Operator: operator, Timeout: 5 * time.Second})
}

func (l *looked) look(addresses ...chain.Address) []Sight {
	l.t.Helper()
	sights := Look(l.t.Context(), l.config, "test", func(e *explorer.Explorer) *explorer.Explorer { return e }, addresses)
	for _, s := range sights {
		if s.Err != nil {
			l.t.Errorf("%s: %v", s.Explorer.Name, s.Err)
		}
	}
	return sights
}

func newLooked(t *testing.T) *looked {
	return &looked{t, &Config{Network: &chaincfg.RegressionNetParams, Privacy: PrivacySettings{Mode: PrivacyAsk}}}
}

// abilityNames gives what was given, and what failed with a mark.
func abilityNames(s Sight) string {
	var names []string
	for _, a := range s.Can {
		switch {
		case a.Err != nil:
			names = append(names, a.Name+"!")
		case !a.Probed:
			names = append(names, a.Name+"?")
		default:
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, " ")
}

// One thing of each sort is asked for, with a handful of questions; of the first
// block, and of no watched address where none is given.
func TestLookProbesWhatExplorersCan(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	paid := wallet.Address(chain.P2WPKH, 1)
	must(wallet.Pay(t.Context(), chaintest.Output{Script: paid.Script, Value: 41_000}))
	ledger.MineMempool()
	l := newLooked(t)
	esplora := chaintest.NewEsplora(ledger, l.config.Network)
	esplora.Faults.Set("/tx/*/outspends", chaintest.Fault{Status: 503})
	l.add("esplora", "esplora", "one", esplora)
	l.add("electrum", "electrum", "two", chaintest.NewElectrum(ledger, l.config.Network))
	blockbook := chaintest.NewBlockbook(ledger, l.config.Network)
	blockbook.Prices = &chaintest.Prices{}
	blockbook.Prices.Set(time.Now(), "EUR", "82304.5")
	l.add("blockbook", "blockbook", "three", blockbook)
	l.config.Fiat.Currency = euro()
	sights := l.look()
	for i, want := range []string{
		"chain blocks headers addresses? transactions spends! proofs prices!", "chain headers addresses? transactions? proofs? hints?", "chain blocks headers addresses? transactions spends prices",
	} {
		if got := abilityNames(sights[i]); got != want {
			t.Errorf("%s can %q, want %q", sights[i].Explorer.Name, got, want)
		}
	}
	for _, request := range esplora.Faults.Requests() {
		if strings.Contains(request, paid.Text) {
			t.Errorf("it was asked about an address: %s", request)
		}
	}
	if sent := int64(len(esplora.Faults.Requests())); sights[0].Requests != sent || sent > 10 {
		t.Errorf("%d requests counted, %d sent", sights[0].Requests, sent)
	}
	for i, s := range l.look(paid) {
		if !strings.Contains(abilityNames(s), "addresses ") || s.Counts[paid.Text].Transactions != 1 {
			t.Errorf("%s can %q and counts %+v", l.config.Explorers[i].Name, abilityNames(s), s.Counts)
		}
	}
}

// The more questions there are, the fewer addresses a slow explorer is asked
// about: a look never takes more than a minute of its pace, or a dozen.
func TestLookIsGentle(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	l := newLooked(t)
	server := chaintest.NewEsplora(ledger, l.config.Network)
	l.add("slow", "esplora", "one", server)
	l.config.Explorers[0].RequestsPerSecond = 0.05
	var many []chain.Address
	for n := range 30 {
		many = append(many, wallet.Address(chain.P2WPKH, n+1))
	}
	s := l.look(many...)[0]
	if got := len(server.Faults.Requests()); got > fewestQuestions {
		t.Errorf("%d requests, at most %d are allowed", got, fewestQuestions)
	}
	if len(s.Counts) == 0 || len(s.Counts) >= len(many) {
		t.Errorf("asked about %d addresses of %d", len(s.Counts), len(many))
	}
	for perSecond, want := range map[float64]int64{0: 40, 0.05: 12, 0.5: 30, 100: 40} {
		if got := questionsOf(perSecond); got != want {
			t.Errorf("%g a second allows %d questions, not %d", perSecond, got, want)
		}
	}
}

// What explorers count is compared; that some count payments to the bare key of
// an address is told apart from one that leaves out a payment.
func TestLookComparesCounts(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	plain, keyed := wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2PKH, 2)
	must(wallet.Pay(t.Context(), chaintest.Output{Script: plain.Script, Value: 41_000}, chaintest.Output{Script: keyed.Script, Value: 5_000}))
	ledger.MineMempool()
	must(wallet.Pay(t.Context(), chaintest.Output{Script: wallet.BareKey(2), Value: 4_321}))
	ledger.MineMempool()
	l := newLooked(t)
	l.add("esplora", "esplora", "one", chaintest.NewEsplora(ledger, l.config.Network))
	l.add("blockbook", "blockbook", "two", chaintest.NewBlockbook(ledger, l.config.Network))
	differ, compared := Compare(l.look(plain, keyed), []chain.Address{plain, keyed})
	if compared != 2 || len(differ) != 1 || differ[0].Address.Text != keyed.Text || !differ[0].Allowed {
		t.Fatalf("%d compared, %+v", compared, differ)
	}
	if c := differ[0].Counts; c[0].Transactions != 1 || c[1].Transactions != 2 {
		t.Errorf("%+v", c)
	}

	// One that never heard of the payments, on a chain as long.
	other, _ := newLedger()
	other.MineEmpty(2)
	l.add("blind", "esplora", "three", chaintest.NewEsplora(other, l.config.Network))
	differ, compared = Compare(l.look(plain, keyed), []chain.Address{plain, keyed})
	if compared != 2 || len(differ) != 2 || differ[0].Allowed || differ[1].Allowed {
		t.Errorf("%d compared, %+v", compared, differ)
	}
	// A counter of bare keys that has less is not explained by them.
	d := Difference{Address: keyed, Counts: []Count{{BareKeys: true, Counters: explorer.Counters{Transactions: 1}}, {Counters: explorer.Counters{Transactions: 2}}}}
	if d.byBareKeys() {
		t.Error("less is explained by counting more")
	}
}

// Two of one operator or of one software are one witness, and so is one that
// does not say what it runs.
func TestPairOfWitnesses(t *testing.T) {
	sight := func(name, kind, operator, family string) Sight {
		return Sight{Explorer: explorer.Settings{Name: name, Kind: kind, Operator: operator}, Family: family, Hears: kind != "node"}
	}
	mempool, blockstream := sight("mempool", "esplora", "a", "esplora"), sight("blockstream", "esplora", "b", "esplora")
	electrs, fulcrum := sight("electrs", "electrum", "c", "esplora"), sight("fulcrum", "electrum", "d", "fulcrum")
	silent, node := sight("silent", "electrum", "e", ""), sight("node", "node", "f", "node")
	mine := sight("mine", "blockbook", "a", "blockbook")
	for _, test := range []struct {
		sights []Sight
		pair   string
	}{
		{[]Sight{mempool, blockstream}, ""},
		{[]Sight{mempool, electrs}, ""}, // the same software through its other door
		{[]Sight{mempool, mine}, ""},    // the same operator
		{[]Sight{mempool, node}, ""},    // a node knows no addresses
		{[]Sight{mempool, silent}, ""},
		{[]Sight{mempool, fulcrum}, "mempool fulcrum"},
		{[]Sight{mempool, electrs, blockstream, mine}, "electrs mine"},
	} {
		got := ""
		if pair := Pair(test.sights); pair != nil {
			got = pair[0].Explorer.Name + " " + pair[1].Explorer.Name
		}
		if got != test.pair {
			t.Errorf("pair %q, want %q", got, test.pair)
		}
	}
}

// The addresses are shared among those who know addresses: a node asked without
// a pace does not shorten a round.
func TestRoundCountsWhoKnowsAddresses(t *testing.T) {
	config := &Config{Network: &chaincfg.MainNetParams, Privacy: PrivacySettings{Mode: PrivacyAsk}, Explorers: []explorer.Settings{
		{Name: "a", Kind: "esplora", RequestsPerSecond: 0.5}, {Name: "b", Kind: "electrum", RequestsPerSecond: 0.5},
		{Name: "node", Kind: "node", RequestsPerSecond: 0}, {Name: "other node", Kind: "node", RequestsPerSecond: 9},
	}}
	round := RoundLengths(config, 120)
	if len(round) != 2 || round["a"] != 2*time.Minute || round["b"] != 2*time.Minute {
		t.Errorf("%v: 120 addresses at 1 a second together take 2 minutes", round)
	}
}
