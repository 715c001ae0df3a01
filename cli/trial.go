package cli

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"btcwatch/alerts"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type channelsTest struct {
	Name    string        `arg:"" help:"The channel's name in the configuration."`
	Timeout time.Duration `default:"60s" placeholder:"TIME" help:"How long to wait until it has arrived (${default})."`
}

// Run sends a test message the whole way that an alert takes: recorded, queued,
// and delivered by the daemon that leads, or by this command where none does.
func (c *channelsTest) Run(s *session) error {
	if c.Timeout < time.Second {
		return wrongUsef("--timeout %s: use 1s or more", c.Timeout)
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	set, err := channelNamed(config, c.Name)
	if err != nil {
		return err
	}
	channel, err := alerts.Open(set, s.program().Env())
	if err != nil {
		return err
	}
	for _, key := range publicKeys(channel) {
		s.say("The receiver verifies its signatures with the public key %s", key)
	}
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		p.now("waiting until the test is delivered")
		return c.send(ctx, s, config, store, set, channel)
	})
}

func channelNamed(config *daemon.Config, name string) (alerts.Settings, error) {
	var names []string
	for _, set := range config.Channels {
		if set.Name == name {
			return set, nil
		}
		names = append(names, set.Name)
	}
	return alerts.Settings{}, wrongUsef("no channel of %s is named %q: it has %s", config.File, tame(name), strings.Join(names, ", "))
}

func (c *channelsTest) send(ctx context.Context, s *session, config *daemon.Config, store *sql.Store, set alerts.Settings, channel alerts.Channel) error {
	leads, err := store.Leads(ctx)
	if err != nil {
		return err
	}
	if !leads && alerts.Local(set) {
		if err := asOwner(config.DataDir); err != nil {
			return err
		}
	}
	actor, err := s.actor(ctx, config, store)
	if err != nil {
		return err
	}
	begun := time.Now()
	id, err := store.BeginTrial(ctx, set.Name, actor)
	if err != nil {
		return err
	}
	by := "the daemon"
	if !leads {
		by = "this command, for no daemon runs"
		trying, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		if err := daemon.DeliverTrial(trying, config, channel, store, set.Name, id); err != nil {
			return err
		}
	}
	row, err := c.await(ctx, store, id, set.Name, begun)
	if err != nil {
		return err
	}
	return c.tell(s, config, set, id, row, by, begun)
}

// asOwner sees to it that what the daemon must be able to write to is not made
// by another user, whose files it could not open afterwards.
func asOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return nil // a server keeps the record, and nothing here says whose the daemon is
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if int(owner) == os.Geteuid() {
		return nil
	}
	name := strconv.Itoa(int(owner))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Errorf("no daemon runs, and this channel ends on this machine, where what another user makes could be closed to the daemon. Nothing is sent: start the daemon, or type this as %s: sudo -u %[1]s btcwatch channels test NAME", name)
}

const trialLook = 100 * time.Millisecond

// await waits until the message is delivered or given up, and withdraws it when
// the time is over.
func (c *channelsTest) await(ctx context.Context, store *sql.Store, id alerts.ID, channel string, begun time.Time) (row sql.DeliveryRow, err error) {
	withdrawn := false
	for {
		_, rows, err := store.Alert(ctx, id)
		if err != nil {
			return row, err
		}
		for _, row = range rows {
			if row.Channel == channel && (row.State != "waiting" || withdrawn) {
				return row, nil
			}
		}
		if withdrawn {
			return row, nil
		}
		if time.Since(begun) > c.Timeout {
			withdrawn = true
			if err := store.WithdrawTrial(ctx, id, channel, "the test was withdrawn, for nothing had taken it up in time"); err != nil {
				return row, err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return row, c.interrupted(store, id, channel)
		case <-time.After(trialLook):
		}
	}
}

// interrupted takes the message back, so that it comes to nobody who does not
// wait for it.
func (c *channelsTest) interrupted(store *sql.Store, id alerts.ID, channel string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := store.WithdrawTrial(ctx, id, channel, "the test was interrupted"); err != nil {
		return err
	}
	return errInterrupted
}

// tell says what became of the message and, where it did not arrive, what to do.
func (c *channelsTest) tell(s *session, config *daemon.Config, set alerts.Settings, id alerts.ID, row sql.DeliveryRow, by string, begun time.Time) error {
	if row.State == "delivered" && row.DeliveredAt != nil {
		_, err := fmt.Fprintf(s.Out, "Delivered to %s (%s) at %s UTC by %s, %s after it was asked for. %s. Test %s.\n",
			set.Name, set.Kind, row.DeliveredAt.UTC().Format(time.DateTime), by, span(max(row.DeliveredAt.Sub(begun), 0)), alerts.Taken(set.Kind), id)
		return err
	}
	switch {
	case row.State == "waiting" && row.Attempts > 0:
		s.say("btcwatch: the test was not delivered to %s within %s: %s is still trying. btcwatch alerts show %s says what comes of it; a receiver that takes so long delays alerts.",
			set.Name, c.Timeout, by, id)
	case row.Attempts == 0:
		s.say("btcwatch: the test was not delivered to %s within %s: nothing took it up, and it is withdrawn. If the channel is new in %s, reload the daemon; if not, see with btcwatch check what it does.",
			set.Name, c.Timeout, config.File)
	default:
		s.say("btcwatch: the test was not delivered to %s (%s), tried by %s: %s. Correct that, reload the daemon where the configuration or a secret has changed, and test again; it is not sent by itself.",
			set.Name, set.Kind, by, reasonOf(row))
	}
	return exitCode(1)
}

func reasonOf(row sql.DeliveryRow) string {
	if row.LastError == nil {
		return "no reason is known"
	}
	return strings.TrimRight(tame(*row.LastError), ".")
}
