package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"

	"btcwatch/chain"
	"btcwatch/daemon"
)

type runCommand struct{}

// Run watches until a signal ends it.
func (c *runCommand) Run(s *session) error {
	ctx, stop := interruptible()
	defer stop()
	progress := s.showCatchingUp()
	log := slog.New(s.logHandler(slog.LevelInfo))
	manager := newSystemd(s.Getenv)
	defer manager.close()
	watchdog, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read what the service manager wants: %w", err)
	}
	program := daemon.Program{
		Version: s.version, Log: log, Stdout: s.Out, StdoutIsTerminal: s.coloured(),
		Reload: daemon.Hangups(ctx), Notify: manager.tell, Watchdog: watchdog, Now: s.Now,
		Progress: progress,
	}
	program.Load = func() (*daemon.Config, error) {
		return s.config(daemon.CheckExplorers, daemon.CheckChannels(program.Env()))
	}
	config, err := program.Load()
	if err != nil {
		return err
	}
	s.say("%s", s.opening(config))
	defer leaveInTime(ctx, log)()
	return daemon.Run(ctx, config, program)
}

// opening is one line that says what begins.
func (s *session) opening(config *daemon.Config) string {
	var names []string
	for _, e := range config.Explorers {
		names = append(names, e.Name)
	}
	place := "the database server named there"
	if config.DatabaseURL == "" {
		place = "a private Postgres in " + config.DataDir
	}
	file := config.File
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	return fmt.Sprintf("btcwatch %s on %s: %s in %s and those added by command, asking %s, recording in %s. Ctrl-C or SIGTERM stops it.",
		s.version, chain.NetworkName(config.Network), counted(len(config.Watch), "address", "addresses"), file,
		strings.Join(names, ", "), place)
}

// leaveInTime ends the process ten seconds after it was told to stop, whatever
// hangs: the record survives that as it survives a kill.
func leaveInTime(ctx context.Context, log *slog.Logger) (left func() bool) {
	const patience = 9500 * time.Millisecond
	return context.AfterFunc(ctx, func() {
		time.AfterFunc(patience, func() {
			log.Error("not stopped in ten seconds, leaving all the same")
			os.Exit(1)
		})
	})
}
