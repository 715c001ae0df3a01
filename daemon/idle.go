package daemon

import "context"

// nothingToAsk takes down whether there is anything of a kind to ask for. While
// there is not, nobody can be blind for it.
func (h *health) nothingToAsk(kind string, nothing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle[kind] = nothing
	if nothing {
		delete(h.kinds, kind)
	}
}

// forgetIdle closes the outages of what there is nothing to ask for. Before
// following has begun no address has joined the watch, which says nothing.
func (h *health) forgetIdle(ctx context.Context) error {
	for _, kind := range h.idleOutages() {
		if err := h.writer.ForgetOutage(ctx, kind, ""); err != nil {
			return err
		}
		h.mu.Lock()
		delete(h.outages, kind+" ")
		h.mu.Unlock()
	}
	return nil
}

func (h *health) idleOutages() (over []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for kind, nothing := range h.idle {
		if h.begun && nothing && h.outages[kind+" "] {
			over = append(over, kind)
		}
	}
	return over
}
