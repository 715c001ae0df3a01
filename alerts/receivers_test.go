package alerts

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// realReceiver gives a program that make test fetches (deploy/receivers.sh); the
// test is skipped where it is not to be had.
func realReceiver(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../bin/receivers/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(name + " is missing: sh deploy/receivers.sh fetches it")
	}
	t.Skip(name + " is missing, so nothing is sent to a real one: sh deploy/receivers.sh fetches it")
	return ""
}

// started runs a program until the test is over.
func started(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	logged, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = logged, logged
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		logged.Close()
		if t.Failed() {
			text, _ := os.ReadFile(logged.Name())
			t.Logf("%s said:\n%s", cmd.Path, text)
		}
	})
}

// within waits until something is so, for as long as even a slow machine needs.
func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never came: " + what)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// runAlertmanager starts a real one that tells hook of what it would page for,
// and gives its address.
func runAlertmanager(t *testing.T, hook string) string {
	t.Helper()
	program := realReceiver(t, "alertmanager")
	dir := t.TempDir()
	config := fmt.Sprintf(`
route: {receiver: hook, group_by: ['...'], group_wait: 100ms, group_interval: 200ms}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`, hook)
	if err := os.WriteFile(filepath.Join(dir, "am.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "am.yml"), "--storage.path="+dir,
		"--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Dir = filepath.Dir(program) // its templates are there
	started(t, cmd)
	url := "http://" + address
	within(t, "Alertmanager", func() bool {
		response, err := http.Get(url + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return url
}

// shownAlert is an alert as Alertmanager gives it out.
type shownAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Status      json.RawMessage   `json:"status"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func shownBy(t *testing.T, url string) map[string]shownAlert {
	t.Helper()
	response, err := http.Get(url + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, _ := io.ReadAll(response.Body)
	var list []shownAlert
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	all := map[string]shownAlert{}
	for _, a := range list {
		all[a.Labels["alert_id"]] = a
	}
	return all
}

// runSyslog starts a real rsyslog that listens on a socket and on TCP, and
// writes what it understands, a field after the other, into a file.
func runSyslog(t *testing.T) (socket, tcp, out string) {
	t.Helper()
	program := realReceiver(t, "rsyslogd")
	dir, err := os.MkdirTemp("", "syslog") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, out = filepath.Join(dir, "log"), filepath.Join(dir, "out")
	config := fmt.Sprintf(`
global(maxMessageSize="64k" workDirectory=%q)
module(load="imuxsock" SysSock.Use="off")
module(load="imtcp")
input(type="imuxsock" Socket=%q UseSpecialParser="off")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName=%q)
template(name="all" type="string" string="%%pri%%\t%%hostname%%\t%%app-name%%\t%%procid%%\t%%msgid%%\t%%structured-data%%\t%%msg%%\n")
action(type="omfile" file=%q template="all")
`, dir, socket, dir+"/port", out)
	if err := os.WriteFile(dir+"/conf", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-n", "-i", "NONE", "-f", dir+"/conf", "-M", filepath.Dir(program))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Dir(program))
	started(t, cmd)
	var port []byte
	within(t, "rsyslog", func() bool {
		_, err := os.Stat(socket)
		port, _ = os.ReadFile(dir + "/port")
		return err == nil && len(port) > 0
	})
	return socket, "127.0.0.1:" + string(port), out
}
