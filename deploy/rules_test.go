package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promtool gives the program that make test fetches (deploy/promtool.sh); the
// test skips without it, or fails where CI=true promises that all is run.
func promtool(t *testing.T) string {
	t.Helper()
	if own, err := filepath.Abs("../bin/promtool"); err == nil {
		if info, err := os.Stat(own); err == nil && info.Mode()&0o111 != 0 {
			return own
		}
	}
	path, err := exec.LookPath("promtool")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("promtool is missing: sh deploy/promtool.sh fetches it")
	default:
		t.Skip("promtool is missing, so the rules for Prometheus are not checked: sh deploy/promtool.sh fetches it")
	}
	return path
}

// TestRules: Prometheus takes the rules, and they alert when they should and
// not when all is well.
func TestRules(t *testing.T) {
	tool := promtool(t)
	for _, args := range [][]string{{"check", "rules", "prometheus-rules.yml"}, {"test", "rules", "prometheus-rules-test.yml"}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "SUCCESS") {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestRulesNameMetricsThatThereAre: a rule about a metric that is spelt
// otherwise never alerts.
func TestRulesNameMetricsThatThereAre(t *testing.T) {
	rules, err := os.ReadFile("prometheus-rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	documented, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`btcwatch_[a-z_]+`).FindAllString(string(rules), -1)
	if len(names) < 10 {
		t.Errorf("only %d metrics are named", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(documented), "`"+name+"`") {
			t.Errorf("%s is not in docs/metrics.md, which the daemon's own test compares with what there is", name)
		}
	}
}
