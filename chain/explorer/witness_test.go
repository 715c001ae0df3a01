package explorer

import (
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest"
)

func TestIndependence(t *testing.T) {
	for _, c := range []struct {
		a, b Witness
		want bool
	}{
		{Witness{"one", "esplora"}, Witness{"two", "blockbook"}, true},
		{Witness{"one", "esplora"}, Witness{"two", "esplora"}, false}, // the same code
		{Witness{"one", "esplora"}, Witness{"one", "blockbook"}, false},
		{Witness{"One ", "esplora"}, Witness{"one", "blockbook"}, false}, // the same people, written otherwise
		{Witness{"one", "Esplora"}, Witness{"two", "esplora"}, false},
		{Witness{"one", ""}, Witness{"two", ""}, false},
		{Witness{"one", ""}, Witness{"two", "esplora"}, false}, // it may be one of Esplora's
		{Witness{"", "esplora"}, Witness{"two", "blockbook"}, false},
		{Witness{}, Witness{}, false},
	} {
		if got := Independent(c.a, c.b); got != c.want {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
		if Independent(c.a, c.b) != Independent(c.b, c.a) {
			t.Errorf("%+v and %+v: not the same both ways", c.a, c.b)
		}
	}
	three := []Witness{{"one", "esplora"}, {"two", "esplora"}, {"one", "blockbook"}}
	if Corroborated(three[:2]) || !Corroborated(three) {
		t.Error("two of one software are corroborated, or two independent ones of three are not")
	}
	if Corroborated(nil) || Corroborated(three[:1]) {
		t.Error("one witness, or none, corroborates itself")
	}
}

// What servers say at server.version; the first two as recorded from real ones.
func TestElectrumFamilies(t *testing.T) {
	for said, want := range map[string]string{
		"mempool-electrs v3.3.0": "esplora",
		"ElectrumX 1.18.0":       "electrumx",
		"electrs-esplora 0.4.1":  "esplora",
		"Fulcrum 1.9.8":          "fulcrum",
		"electrs/0.10.5":         "electrs",
		"electrs 0.9.0":          "electrs",
		"My own server 3":        "",
		"":                       "",
	} {
		if got := electrumFamily(said); got != want {
			t.Errorf("%q is taken for %q, want %q", said, got, want)
		}
	}
}

// Each kind either has a family of its own, or says what it is when it is asked.
func TestSoftwareOfEachKind(t *testing.T) {
	for _, k := range kinds() {
		s := Settings{Name: "x", Kind: k.name, URL: k.schemes[len(k.schemes)-1] + "://127.0.0.1:1", Operator: "op"}
		e, err := Open(s, &chaincfg.RegressionNetParams)
		if err != nil {
			t.Fatal(err)
		}
		if w := e.Witness(); w.Operator != "op" || (w.Software == "") != (k.name == "electrum") {
			t.Errorf("%s is %+v", k.name, w)
		}
		s.Software = "other"
		if e, err = Open(s, &chaincfg.RegressionNetParams); err != nil || e.Witness().Software != "other" {
			t.Errorf("%s with software configured is %+v, %v", k.name, e.Witness(), err)
		}
	}
}

func TestElectrumServerSaysItsSoftware(t *testing.T) {
	for flavour, want := range map[chaintest.ElectrumFlavour]string{
		chaintest.ElectrumX: "electrumx", chaintest.Fulcrum: "fulcrum", chaintest.EsploraElectrum: "esplora",
	} {
		ledger := chaintest.NewChain()
		ledger.MineEmpty(3)
		server := chaintest.NewElectrum(ledger, &chaincfg.RegressionNetParams)
		server.Flavour = flavour
		url, stop := server.Serve()
		t.Cleanup(stop)
		e, err := Open(Settings{Name: "x", Kind: "electrum", URL: url, Operator: "op"}, &chaincfg.RegressionNetParams)
		if err != nil {
			t.Fatal(err)
		}
		if w := e.Witness(); w.Software != "" {
			t.Errorf("before it was asked it is %+v", w)
		}
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w := e.Witness(); w.Software != want {
			t.Errorf("%+v, want %s", w, want)
		}
		e.Close()
	}
}
