package daemon

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// relisten is the pause between tries to listen where another program does.
const relisten = 10 * time.Second

// listen answers about this daemon for as long as the context lasts. That nobody
// can ask is no reason not to watch: it is logged, and tried again.
func (w *watch) listen(ctx context.Context) (stop func()) {
	place := w.config.Metrics.Listen
	if place == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		told := false
		for ctx.Err() == nil {
			listener, err := net.Listen("tcp", place)
			if err == nil {
				w.Log.Info("metrics served", "address", listener.Addr().String())
				told, err = false, w.answer(ctx, listener)
			}
			if ctx.Err() == nil {
				if !told {
					w.Log.Error("metrics not served, trying again", "address", place, "error", err)
				}
				told = true
				sleep(ctx, relisten)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// answer serves one listener until the context ends, and closes it.
func (w *watch) answer(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: w.endpoints(), MaxHeaderBytes: 16 << 10,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	return server.Serve(listener)
}

func (w *watch) endpoints() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.registry(), promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /health", w.sayAlive)
	mux.HandleFunc("GET /ready", w.sayReady)
	return mux
}

// sayAlive says whether the work goes on, by what feeds systemd's watchdog.
func (w *watch) sayAlive(out http.ResponseWriter, _ *http.Request) {
	role, _ := w.standing.get()
	_, hung := w.pulse.hung()
	say(out, !hung, map[string]any{"alive": !hung, "role": role})
}

// sayReady says whether all is well.
func (w *watch) sayReady(out http.ResponseWriter, request *http.Request) {
	t := w.truth(request.Context())
	say(out, t.Ready, t)
}

func say(out http.ResponseWriter, well bool, what any) {
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Cache-Control", "no-store")
	if !well {
		out.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(out).Encode(what) // whoever hung up does not want to know
}
