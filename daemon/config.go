// Package daemon knows when things happen: it reads the configuration, keeps
// the schedule, follows blocks, asks about addresses, delivers alerts and
// watches its own health. All goroutines of the program start here.
package daemon

import (
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/alerts"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// Config is the whole configuration, checked, with defaults filled in.
type Config struct {
	File        string // where it was read from
	Network     *chaincfg.Params
	DataDir     string         // absolute
	Zone        *time.Location // of the schedule, and the second clock in messages
	DatabaseURL string         // empty: a private Postgres in DataDir
	Schedule    Schedule
	Start       Start
	Explorers   []explorer.Settings // in the order of the file
	Watch       []watchlist.Listing // in the order of the file
	Lists       []ListSettings      // in the order of the file
	Alerts      AlertSettings
	Rules       alerts.Rules      // in the order of their names
	Channels    []alerts.Settings // in the order of the file
	Health      HealthSettings
	Metrics     MetricsSettings
	Heartbeat   HeartbeatSettings
	Canary      CanarySettings
	Privacy     PrivacySettings
	Fiat        FiatSettings

	lines map[string]int
}

// Line is where a table or key is in the file, such as "channels.mail" or
// "schedule.blocks"; 0 where the file does not have it.
func (c *Config) Line(key string) int { return c.lines[key] }

// Telling is how recorded facts become alerts and waiting deliveries.
func (c *Config) Telling() sql.Telling {
	return sql.Telling{
		Confirmations: c.Alerts.Confirmations, Rules: c.Rules, Channels: c.Channels, Burst: c.Alerts.Burst,
		BlindWithoutBlock: c.Health.NoBlockAfter, Canary: c.Canary.Address, Fiat: c.Fiat.Currency,
		Digest: c.Alerts.Digest, Zone: c.Zone,
	}
}

// Schedule holds cron expressions or "@every 30s"; empty means never.
type Schedule struct {
	Blocks  string
	Mempool string
	History string
	Report  string
}

// Start says which block is the first that is covered.
type Start struct {
	Tip    bool
	Height int32
	Hash   *chainhash.Hash // set for height:hash, which the operator vouches for
}

// AlertSettings is the [alerts] table.
type AlertSettings struct {
	Confirmations []int32 // depths, ascending; the first is told, the rest go to the report
	Burst         int
	Digest        alerts.Clock  // when people are told of addresses whose listing says digest
	DroppedAfter  time.Duration // an unconfirmed payment that no explorer knows for so long is told as dropped
}

// HealthSettings is the [health] table.
type HealthSettings struct {
	FailingAfter time.Duration // an explorer without a good answer for so long is failing
	BlindAfter   time.Duration // no explorer with a good answer for so long: blind
	LaggingAfter time.Duration // an explorer two blocks or more behind the verified chain for so long is lagging
	StaleAfter   time.Duration // one that shows the same tip for so long and is behind is stale; 0: never
	Quarantine   time.Duration // how long who was caught in something false must be seen to be clean; 0: nobody is in quarantine
	NoBlockAfter time.Duration // no new block from any explorer for so long: blind; 0: never

	DisagreeAfter time.Duration // explorers that disagree for so long are told of; 0: they are not compared
}

// MetricsSettings is the [metrics] table.
type MetricsSettings struct {
	Listen string // host:port; empty: nowhere
}

// HeartbeatSettings is the [heartbeat] table.
type HeartbeatSettings struct {
	URL   string // who knows it can keep the switch from telling: never shown; empty: none is sent
	Post  bool   // POST instead of GET
	Every time.Duration
}
