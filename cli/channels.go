package cli

import (
	"context"
	"strings"
	"time"

	"btcwatch/alerts"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type channelsCommand struct {
	List channelsList `cmd:"" help:"List the channels, and how their deliveries stand."`
	Test channelsTest `cmd:"" help:"Send a test message through a channel, and say whether it arrived; exit 1 if not."`
}

type channelsList struct {
	JSON bool `name:"json" help:"One JSON object a line."`
}

// channelRow is a configured channel, or one that something is left of.
type channelRow struct {
	Name          string     `json:"name"`
	Kind          string     `json:"kind"` // empty: not configured any more
	About         []string   `json:"about"`
	MinSeverity   string     `json:"min_severity"`
	Waiting       int64      `json:"waiting"`
	Dead          int64      `json:"dead"`
	LastDelivered *time.Time `json:"last_delivered_at"`
	LastError     *string    `json:"last_error"`
	PublicKeys    []string   `json:"public_keys,omitempty"`
}

// Run lists the channels.
func (c *channelsList) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		known, err := store.ChannelDeliveries(ctx)
		if err != nil {
			return err
		}
		list := channelRows(config.Channels, known, s.publicKeys)
		if c.JSON {
			return printJSON(s.Out, list...)
		}
		return channelTable(list).print(s.Terminal)
	})
}

// publicKeys are those that a channel's receiver verifies with. None are given
// of a channel that cannot be opened here: check says why.
func (s *session) publicKeys(set alerts.Settings) []string {
	channel, err := alerts.Open(set, s.program().Env())
	if err != nil {
		return nil
	}
	return publicKeys(channel)
}

func publicKeys(channel alerts.Channel) []string {
	if signs, ok := channel.(interface{ PublicKeys() []string }); ok {
		return signs.PublicKeys()
	}
	return nil
}

// program is this one, as the daemon knows itself.
func (s *session) program() daemon.Program {
	return daemon.Program{Version: s.version, Stdout: s.Out, StdoutIsTerminal: s.IsTerminal}
}

// channelRows are the configured channels in their order, then those that are
// not configured any more, with what is left of them.
func channelRows(configured []alerts.Settings, known []sql.ChannelDeliveries, keys func(alerts.Settings) []string) []channelRow {
	var list []channelRow
	place := map[string]int{}
	for _, set := range configured {
		place[set.Name] = len(list)
		about := set.About
		if len(about) == 0 {
			about = []string{"payment", "list", "service", "blind"}
		}
		list = append(list, channelRow{Name: set.Name, Kind: set.Kind, About: about, MinSeverity: set.MinSeverity.String(), PublicKeys: keys(set)})
	}
	for _, k := range known {
		i, ok := place[k.Channel]
		if !ok {
			i = len(list)
			list = append(list, channelRow{Name: k.Channel, About: []string{}})
		}
		row := &list[i]
		row.Waiting, row.Dead, row.LastDelivered, row.LastError = k.Waiting, k.Dead, k.LastDelivered, k.LastError
	}
	return list
}

func channelTable(list []channelRow) *table {
	t := &table{columns: []column{
		{name: "CHANNEL"}, {name: "KIND"}, {name: "ABOUT"}, {name: "FROM"}, {name: "WAITING", right: true}, {name: "DEAD", right: true},
		{name: "LAST DELIVERED (UTC)"}, {name: "LAST ERROR", cut: true, spare: true}, {name: "PUBLIC KEY", below: true, spare: true},
	}}
	for _, row := range list {
		kind, about, last, failed := row.Kind, strings.Join(row.About, " "), minute(row.LastDelivered), ""
		if kind == "" {
			kind = "not configured any more"
		}
		if len(row.About) == 4 {
			about = "all"
		}
		if last == "" {
			last = "never"
		}
		if row.LastError != nil {
			failed = *row.LastError
		}
		t.add(row.Name, kind, about, row.MinSeverity, grouped(row.Waiting), grouped(row.Dead), last, failed, strings.Join(row.PublicKeys, " "))
	}
	return t
}
