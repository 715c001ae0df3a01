package daemon

import (
	"encoding/hex"
	"math"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a machine without a zone database has every zone all the same

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// loader turns the tree of a file into a Config, one table after the other.
// Each method fills its part and records what is wrong with it.
type loader struct {
	config *Config
	faults *Faults
	broken bool // part of the file is unreadable: say nothing about what is absent
}

func (l *loader) load(top *section) {
	l.config.Network = l.network(top)
	l.config.DataDir = l.dataDir(top)
	l.config.Zone = l.zone(top)
	l.database(top.sub("database"))
	l.schedule(top.sub("schedule"))
	l.chain(top.sub("chain"))
	l.explorers(top.sub("explorers"))
	l.watch(top.sub("watch"))
	l.lists(top.sub("lists"))
	l.alerts(top.sub("alerts"))
	l.channels(top.sub("channels"))
	l.health(top.sub("health"))
	l.metrics(top.sub("metrics"))
	l.heartbeat(top.sub("heartbeat"))
	l.canary(top.sub("canary"))
	l.privacy(top.sub("privacy"))
	l.fiat(top.sub("fiat"))
	l.rules(top.sub("rules"))
	top.finish()
}

func (l *loader) network(s *section) *chaincfg.Params {
	params, err := chain.Network(s.text("network", "mainnet"))
	if err != nil {
		s.fault("network", "%s", err)
		return &chaincfg.MainNetParams
	}
	return params
}

// dataDir makes the directory absolute, so that a later change of the working
// directory cannot move the database.
func (l *loader) dataDir(s *section) string {
	dir := s.text("data_dir", "/var/lib/btcwatch")
	abs, err := filepath.Abs(dir)
	if err != nil {
		s.fault("data_dir", "the working directory is not known (%s); write the whole path", err)
		return dir
	}
	return abs
}

func (l *loader) zone(s *section) *time.Location {
	name := s.text("timezone", "UTC")
	if name == "Local" {
		s.fault("timezone", "Local differs from machine to machine; name the zone, such as Europe/Paris")
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		s.fault("timezone", `unknown time zone %q; use a name such as UTC, Europe/Paris or Asia/Tashkent`, name)
		return time.UTC
	}
	return zone
}

func (l *loader) database(s *section) {
	defer s.finish()
	text := s.text("url", "")
	if text == "" {
		return
	}
	l.config.DatabaseURL = text
	if !strings.Contains(text, "://") {
		l.databaseWords(s, text)
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // the error quotes the URL, which may hold a password
		s.fault("url", "not a URL; write postgres://USER@HOST:5432/NAME, or leave it empty for a private Postgres")
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		s.fault("url", "%s:// is not a Postgres URL; write postgres://USER@HOST:5432/NAME, or leave it empty for a private Postgres", u.Scheme)
	case holdsPassword(u) || u.Query().Has("password"):
		s.fault("url", "holds a password; take it out and add ?passfile=FILE, which names a file in the format of .pgpass")
	}
}

// databaseWords checks the other spelling that Postgres knows: host=… dbname=….
func (l *loader) databaseWords(s *section, text string) {
	switch {
	case !strings.Contains(text, "="):
		s.fault("url", "not a Postgres URL; write postgres://USER@HOST:5432/NAME, or leave it empty for a private Postgres")
	case strings.HasPrefix(text, "password") || strings.Contains(text, " password"):
		s.fault("url", "holds a password; take it out and add passfile=FILE, which names a file in the format of .pgpass")
	}
}

func holdsPassword(u *url.URL) bool {
	_, has := u.User.Password()
	return has
}

func (l *loader) schedule(s *section) {
	defer s.finish()
	l.config.Schedule = Schedule{
		Blocks:  l.cadence(s, "blocks", "@every 30s"),
		Mempool: l.cadence(s, "mempool", "@every 1m"),
		History: l.cadence(s, "history", "17 3 * * *"),
		Report:  l.cadence(s, "report", "0 8 * * *"),
	}
	if set := l.config.Schedule; set.Blocks == "" && set.Mempool == "" && set.History == "" {
		s.fault("", "blocks, mempool and history are all empty, so that nothing would ever be watched; set at least one")
	}
}

// cadence reads one expression. Here, unlike elsewhere, empty is not the
// default: it means never.
func (l *loader) cadence(s *section, key, preset string) string {
	if text := s.text(key, ""); text != "" {
		if _, err := ParseSchedule(text, l.config.Zone); err != nil {
			s.fault(key, "%s", err)
		}
		return text
	}
	if s.has(key) {
		return ""
	}
	return preset
}

func (l *loader) chain(s *section) {
	defer s.finish()
	if given := s.node.children["start"]; given != nil {
		if height, ok := given.value.(int64); ok { // a height needs no quotes
			s.ask("start")
			l.startAt(s, strconv.FormatInt(height, 10), "", false)
			return
		}
	}
	text := s.text("start", "tip")
	if text == "tip" {
		l.config.Start.Tip = true
		return
	}
	height, hash, pinned := strings.Cut(text, ":")
	l.startAt(s, height, hash, pinned)
}

func (l *loader) startAt(s *section, height, hash string, pinned bool) {
	const use = `use "tip", a height such as 840000, or "height:hash"`
	n, err := strconv.ParseInt(height, 10, 64)
	switch {
	case err != nil || strings.HasPrefix(height, "+"):
		s.fault("start", "%q is not a block height; %s", height, use)
	case n < 0 || n > math.MaxInt32:
		s.fault("start", "there is no block %d; %s", n, use)
	default:
		l.config.Start.Height = int32(n)
	}
	if !pinned {
		return
	}
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != chainhash.HashSize {
		s.fault("start", "%q is not a block hash, which has 64 hexadecimal digits; %s", hash, use)
		return
	}
	l.config.Start.Hash, _ = chainhash.NewHashFromStr(hash)
}

func (l *loader) alerts(s *section) {
	defer s.finish()
	l.config.Alerts.Confirmations = l.confirmations(s)
	burst := s.integer("burst", 20)
	if burst < 1 || burst > 10_000 {
		s.fault("burst", "%d is out of bounds; use 1 to 10000", burst)
	}
	l.config.Alerts.Burst = int(burst)
	digest, err := alerts.ParseClock(s.text("digest", "08:00"))
	if err != nil {
		s.fault("digest", "%s", err)
	}
	l.config.Alerts.Digest = digest
	l.config.Alerts.DroppedAfter = s.duration("dropped_after", 3*time.Hour, time.Second, 30*24*time.Hour)
}

// maxConfirmations is the depth at which a block's coinbase may be spent;
// nothing deeper is worth waiting for.
const maxConfirmations = 100

func (l *loader) confirmations(s *section) []int32 {
	depths, ok := s.integers("confirmations", []int64{1, 6})
	if ok && len(depths) == 0 {
		s.fault("confirmations", "empty, so that no confirmation would ever be told; write the depths, such as [1, 6]")
	}
	var list []int32
	for i, depth := range depths {
		switch {
		case depth < 1 || depth > maxConfirmations:
			s.fault("confirmations", "%d is out of bounds; use 1 to %d", depth, maxConfirmations)
		case i > 0 && depth <= depths[i-1]:
			s.fault("confirmations", "%d comes after %d; write the depths in rising order, each once", depth, depths[i-1])
		}
		list = append(list, int32(depth))
	}
	return list
}

func (l *loader) health(s *section) {
	defer s.finish()
	l.config.Health.FailingAfter = s.duration("failing_after", 5*time.Minute, time.Second, 24*time.Hour)
	l.config.Health.BlindAfter = s.duration("blind_after", 5*time.Minute, time.Second, 24*time.Hour)
	l.config.Health.LaggingAfter = s.duration("lagging_after", 10*time.Minute, time.Second, 24*time.Hour)
	l.config.Health.StaleAfter = s.duration("stale_after", time.Hour, time.Second, 7*24*time.Hour)
	l.config.Health.Quarantine = s.duration("quarantine", 24*time.Hour, time.Minute, 30*24*time.Hour)
	l.config.Health.DisagreeAfter = s.duration("disagree_after", 5*time.Minute, time.Second, 24*time.Hour)
	usual := 2 * time.Hour
	if l.config.Network.PoWNoRetargeting { // regtest: blocks come when somebody makes them
		usual = 0
	}
	l.config.Health.NoBlockAfter = s.duration("no_block_after", usual, 0, 7*24*time.Hour)
}

// goodName gives the name of a table, which stands in messages and tables.
func goodName(s *section) string {
	if s.key == "" || len(s.key) > 64 || strings.TrimSpace(s.key) != s.key || strings.ContainsFunc(s.key, unprintable) {
		s.fault("", "%q is no good name; use 1 to 64 printable characters", s.key)
	}
	return s.key
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }
