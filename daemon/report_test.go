package daemon

import (
	"testing"

	"btcwatch/alerts"
)

// TestReportThatFailsIsNotLost: the disk was full when the report was due. It
// is overdue until it is recorded, also for a daemon that was started since.
func TestReportThatFailsIsNotLost(t *testing.T) {
	t.Parallel()
	ledger, _ := newLedger()
	w := newWorld(t, ledger)
	w.config.Schedule.Report = "0 0 1 1 *"
	w.start()
	w.caughtUp(ledger)
	w.stop()
	w.exec(`UPDATE btcwatch.job_run SET began_at = now() - interval '400 days' WHERE name = 'report'`)
	w.exec(`CREATE FUNCTION public.no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left on device'; END $$`)
	w.exec(`CREATE TRIGGER no_space BEFORE INSERT ON btcwatch.alert FOR EACH ROW WHEN (NEW.type = 'report.daily') EXECUTE FUNCTION public.no_space()`)
	w.start()
	w.awaitLog("round failed")
	w.stop()
	w.expect("0", `SELECT count(*) FROM btcwatch.alert WHERE type = 'report.daily'`)
	w.exec(`DROP TRIGGER no_space ON btcwatch.alert`)
	w.start()
	w.awaitDelivered(alerts.ReportDaily, 1)
	w.await("true", `SELECT began_at > now() - interval '1 hour' FROM btcwatch.job_run WHERE name = 'report'`)
}

func (w *world) exec(statement string) {
	w.t.Helper()
	if _, err := w.conn().Exec(w.t.Context(), statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}
