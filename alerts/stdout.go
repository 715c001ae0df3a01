package alerts

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// stdout shows alerts to whoever looks at the terminal or the service's log.
type stdout struct {
	mu     sync.Mutex // one alert is never written into another
	out    io.Writer
	colour bool
}

type stdoutSettings struct{}

func openStdout(s Settings, env Env) (Channel, error) {
	if err := s.Decode(&stdoutSettings{}); err != nil {
		return nil, err
	}
	if env.Stdout == nil {
		return nil, fmt.Errorf("there is no standard output here")
	}
	return &stdout{out: env.Stdout, colour: env.StdoutIsTerminal}, nil
}

// Send writes one alert.
func (c *stdout) Send(_ context.Context, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := io.WriteString(c.out, Terminal(m.Decoded, m.Zone, c.colour)+"\n"); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}
