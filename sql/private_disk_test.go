package sql

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk runs a child in a mount namespace of its own, where the data
// directory is a file system that is too small.
func TestFullDisk(t *testing.T) {
	for size, want := range map[string][]string{
		"20m":  {"needs 150 MB", "free some space", "data_dir"},
		"160m": {"free some space", "df -h"}, // looks large enough and is then filled by another
	} {
		t.Run(size, func(t *testing.T) {
			dir := one().dir(t)
			script := `mount -t tmpfs -o mode=700,size=` + size + ` none "$1" || { echo no mount; exit 0; }
				if [ ` + size + ` = 160m ]; then (until ls "$1"/postgres.new-*/base; do :; done; head -c 158m /dev/zero >"$1"/other) >&2 2>/dev/null & fi
				exec "$0" -test.run='^TestChildProcess$' </dev/null`
			cmd := exec.Command("/bin/sh", "-c", script, reachableProgram(t), dir)
			cmd.Env = append(os.Environ(), childDir+"="+dir, childMode+"=")
			cmd.SysProcAttr = ownMounts()
			output, err := cmd.Output()
			text := string(output)
			if strings.Contains(text, "no mount") || err != nil && text == "" {
				t.Skip("this system does not let a test mount a small disk")
			}
			contains(t, text, append(want, "failed")...)
		})
	}
}

func ownMounts() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}
