package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// served is where a world's daemon answers about itself.
func (w *world) served() string {
	w.t.Helper()
	w.awaitLog("metrics served")
	found := regexp.MustCompile(`msg="metrics served" address=(\S+)`).FindAllStringSubmatch(w.log.String(), -1)
	return "http://" + found[len(found)-1][1]
}

// get asks a daemon about itself.
func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // leaves nothing behind
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, string(must(io.ReadAll(response.Body)))
}

// awaitFaults waits until /ready names exactly these reasons.
func awaitFaults(t *testing.T, url string, want ...string) (got truth) {
	t.Helper()
	status := 0
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var text string
		status, text = get(t, url+"/ready")
		got = truth{}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		slices.Sort(got.Faults)
		if slices.Equal(got.Faults, want) {
			break
		}
	}
	well := len(want) == 0
	if got.Ready != well || (status == http.StatusOK) != well || !slices.Equal(got.Faults, want) {
		t.Fatalf("/ready says %d %+v, want %q", status, got, want)
	}
	return got
}

// samples reads metrics: by the name with its labels.
func samples(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if at := strings.LastIndexByte(strings.TrimSpace(line), ' '); at > 0 && line[0] != '#' {
			all[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return all
}

// TestEndpointsTellTheTruth: of a daemon that leads, that stands by, and that is
// blind.
func TestEndpointsTellTheTruth(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.config.Metrics.Listen = "127.0.0.1:0"
	desk := w.receiver("desk")
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	leader := w.served()
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, a)
	w.await("0", `SELECT count(*) FROM btcwatch.delivery WHERE state = 'waiting'`)
	truth := awaitFaults(t, leader)
	if truth.Role != leading || !truth.Database || *truth.Position != 111 || *truth.BlocksBehind != 0 || *truth.PositionAge > 60 || *truth.Waiting != 0 {
		t.Errorf("/ready says %+v", truth)
	}
	if status, text := get(t, leader+"/health"); status != http.StatusOK || text != `{"alive":true,"role":"leading"}`+"\n" {
		t.Errorf("/health says %d %s", status, text)
	}
	if status, _ := get(t, leader+"/"); status != http.StatusNotFound {
		t.Errorf("/ says %d", status)
	}
	w.awaitMetric(`btcwatch_explorer_lag_blocks{explorer="two"} 0`) // the explorers were judged
	_, text := get(t, leader+"/metrics")
	got := samples(text)
	for name, want := range map[string]string{
		`leading`: "1", `ready`: "1", `database_up`: "1", `fault{fault="blocks"}`: "0", `position_height`: "111", `tip_height`: "111",
		`blocks_behind`: "0", `watched_addresses`: "1", `alerts_total{type="transaction.confirmed"}`: "1", `alerts_total{type="watch.blind"}`: "0",
		`deliveries_waiting{channel="desk"}`: "0", `explorer_state{explorer="one",state="ok"}`: "1", `explorer_lag_blocks{explorer="two"}`: "0",
		`explorer_failures_total{explorer="one",kind="lying"}`: "0", `outages_open{kind="explorer"}`: "0", `build_info{network="regtest",version="test"}`: "1",
	} {
		if got["btcwatch_"+name] != want {
			t.Errorf("btcwatch_%s is %q, want %s", name, got["btcwatch_"+name], want)
		}
	}
	for _, some := range []string{`round_duration_seconds_count{job="blocks"}`, `explorer_requests_total{explorer="two"}`, `position_moved_timestamp_seconds`} {
		if got["btcwatch_"+some] == "" || got["btcwatch_"+some] == "0" {
			t.Errorf("btcwatch_%s is %q", some, got["btcwatch_"+some])
		}
	}

	other := newWorldOver(t, w.config.DatabaseURL, ledger)
	other.config.Metrics.Listen, other.config.Channels = "127.0.0.1:0", w.config.Channels
	other.start()
	other.awaitLog("standing by")
	truth = awaitFaults(t, other.served(), "not-leading")
	if truth.Role != standingBy || *truth.Position != 111 {
		t.Errorf("who stands by says %+v", truth)
	}
	if status, text := get(t, other.served()+"/health"); status != http.StatusOK || !strings.Contains(text, standingBy) {
		t.Errorf("/health of who stands by says %d %s", status, text)
	}
	other.stop()

	w.impatient()
	awaitFaults(t, w.served())
	w.both("/**", chaintest.Fault{Status: http.StatusBadGateway})
	awaitFaults(t, w.served(), "blocks", "mempool")
	_, text = get(t, w.served()+"/metrics")
	got = samples(text)
	if got[`btcwatch_ready`] != "0" || got[`btcwatch_fault{fault="blocks"}`] != "1" || got[`btcwatch_outages_open{kind="mempool"}`] != "1" ||
		got[`btcwatch_explorer_failures_total{explorer="one",kind="unavailable"}`] == "0" {
		t.Errorf("metrics while blind:\n%s", text)
	}
	w.clear()
	awaitFaults(t, w.served())

	_, ready := get(t, w.served()+"/ready")
	for _, secret := range []string{a.Text, paid.TxHash().String(), desk.url, w.config.Explorers[0].URL, "/hook", "postgres://"} {
		if strings.Contains(text+ready, secret) {
			t.Errorf("%q is told to whoever asks", secret)
		}
	}
}

// TestMetricsAreWellFormed by the rules that promtool goes by, and documented:
// all that there are and no others.
func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.config.Metrics.Listen = "127.0.0.1:0"
	for i := range w.config.Explorers {
		w.config.Explorers[i].RequestsPerSecond = 100
	}
	hanging := w.receiver("hanging")
	hanging.Set("/hook", chaintest.Fault{Hang: true})
	t.Cleanup(hanging.ClearAll)
	url, stop := chaintest.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(stop)
	w.config.Heartbeat = HeartbeatSettings{URL: url + "/ping/hunter2", Every: time.Second}
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	canary := wallet.Address(chain.P2WPKH, 2)
	w.canary(canary)
	w.began(ledger)
	must(wallet.Pay(t.Context(), chaintest.Output{Script: canary.Script, Value: 30_000}))
	ledger.MineMempool()
	w.awaitMetric("btcwatch_canary_arrived_timestamp_seconds")
	w.awaitMetric("btcwatch_heartbeat_sent_timestamp_seconds")
	w.awaitMetric("btcwatch_delivery_oldest_waiting_timestamp_seconds")
	_, text := get(t, w.served()+"/metrics")
	problems := must(promlint.New(strings.NewReader(text)).Lint())
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	documented := string(must(os.ReadFile("../docs/metrics.md")))
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE btcwatch_"); ok {
			name, _, _ = strings.Cut(name, " ")
			if !strings.Contains(documented, "`btcwatch_"+name) {
				t.Errorf("btcwatch_%s is not in docs/metrics.md", name)
			}
		}
	}
	for _, name := range regexp.MustCompile("`(btcwatch_[a-z_]+)").FindAllStringSubmatch(documented, -1) {
		if !strings.Contains(text, "# TYPE "+name[1]+" ") {
			t.Errorf("docs/metrics.md tells of %s, which there is not", name[1])
		}
	}
	for _, fault := range faultNames() {
		if !strings.Contains(documented, "| `"+fault+"` |") {
			t.Errorf("docs/metrics.md does not explain the fault %s", fault)
		}
	}
	if strings.Contains(text+w.log.String(), "hunter2") {
		t.Error("the heartbeat's url is shown")
	}
}

// awaitMetric waits until there is a metric.
func (w *world) awaitMetric(name string) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, text := get(w.t, w.served()+"/metrics"); strings.Contains(text, name) {
			return
		}
	}
	w.t.Fatalf("there is no metric %s\n%s", name, w.log)
}

// TestPortTaken: that nobody can ask is no reason not to watch.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	taken, stop := chaintest.Serve(http.NotFoundHandler())
	t.Cleanup(stop)
	w := newWorld(t, ledger)
	w.config.Metrics.Listen = strings.TrimPrefix(taken, "http://")
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	w.awaitLog("metrics not served")
	if count := strings.Count(w.log.String(), "metrics not served"); count != 1 {
		t.Errorf("told %d times", count)
	}
}

// TestAllTypesAreListed: a type of alert that has no metric would be missed.
func TestAllTypesAreListed(t *testing.T) {
	source := string(must(os.ReadFile("../alerts/alert.go")))
	found := regexp.MustCompile(`(?m)^\t\w+ +Type = "([a-z.]+)"`).FindAllStringSubmatch(source, -1)
	var known []string
	for _, typ := range alerts.Types() {
		known = append(known, string(typ))
	}
	for _, name := range found {
		if !slices.Contains(known, name[1]) {
			t.Errorf("%s is not in Types", name[1])
		}
	}
	if len(found) != len(known) {
		t.Error(fmt.Sprint(len(found), " types are declared, ", len(known), " listed"))
	}
	var migration string
	for _, file := range must(filepath.Glob("../sql/migrations/*.sql")) {
		migration += string(must(os.ReadFile(file)))
	}
	for _, kind := range outageKinds() {
		if !strings.Contains(migration, "'"+kind+"'") {
			t.Errorf("btcwatch.outage takes no %s", kind)
		}
	}
}
