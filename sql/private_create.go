package sql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// roomForCluster is what a new cluster and its first write-ahead log take.
const roomForCluster = 150 << 20

// clusterSettings are sized for a daemon that idles most of the time. They
// stand in postgresql.conf, where an operator may change them; what safety
// rests on is given on the command line at each start.
const clusterSettings = `
# btcwatch: sized for a small daemon; change what you like.
shared_buffers = 32MB
max_connections = 30
max_wal_size = 256MB
# files instead of /dev/shm, which logind empties when its user logs out
dynamic_shared_memory_type = mmap
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
`

// clusterVersion reads which major version made a cluster; empty when there
// is none.
func clusterVersion(cluster string) (string, error) {
	text, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION"))
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", advise(err, filepath.Dir(cluster))
	}
	if _, err := os.Lstat(cluster); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return "", fmt.Errorf("%s is no Postgres cluster (it has no PG_VERSION): move it away, or restore it from a backup", cluster)
}

// create makes the cluster under another name and renames it when it is
// whole, so that a half-made one is never taken for a database.
func (p *Private) create(ctx context.Context) error {
	if err := p.removeHalfMade(); err != nil {
		return err
	}
	free, err := freeSpace(p.dir)
	if err != nil {
		return err
	}
	if free < roomForCluster {
		return fmt.Errorf("a new database needs %d MB and the disk of %s has %d MB left: free some space, or set data_dir to another disk",
			roomForCluster>>20, p.dir, free>>20)
	}
	p.log.Info("creating the private database", "dir", p.cluster(), "postgres", p.programs.major)
	// Never the same name twice: an initdb that outlived its killed parent
	// may still be writing to the last one.
	fresh, err := os.MkdirTemp(p.dir, newName+"-")
	if err != nil {
		return advise(err, p.dir)
	}
	if err := p.fill(ctx, fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, p.cluster()); err != nil {
		return err
	}
	return syncDir(p.dir)
}

func (p *Private) fill(ctx context.Context, fresh string) error {
	if err := os.Lchown(fresh, p.account.uid, p.account.gid); err != nil {
		return err
	}
	if err := p.initdb(ctx, fresh); err != nil {
		return err
	}
	const flags = os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW
	file, err := os.OpenFile(filepath.Join(fresh, "postgresql.conf"), flags, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(clusterSettings)
	return errors.Join(err, file.Sync(), file.Close())
}

// initdb makes a cluster whose order of text no upgrade of the C library can
// change (collation C), and that knows upper and lower case of every script.
func (p *Private) initdb(ctx context.Context, fresh string) error {
	args := []string{
		"-D", fresh, "--username=" + privateUser, "--auth=trust", "--data-checksums",
		"--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C",
		"--lc-monetary=C", "--lc-numeric=C", "--lc-time=C",
	}
	if p.notDurable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, p.programs.path("initdb"), args...)
	cmd.Dir = p.dir
	cmd.Env = cleanEnvironment()
	cmd.SysProcAttr = p.account.attributes(syscall.SIGKILL)
	runtime.LockOSThread() // its death signal follows this thread
	defer runtime.UnlockOSThread()
	output, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("create the private database: %w", ctx.Err())
	}
	text := string(output)
	return fmt.Errorf("create the private database: initdb: %w: %s: %s", err, faults(text), adviseOn(text, p.dir))
}

func (p *Private) removeHalfMade() error {
	left, err := filepath.Glob(filepath.Join(escapeGlob(p.dir), newName+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		p.log.Warn("removing a half-made private database", "dir", path)
		if err := os.RemoveAll(path); err != nil {
			return advise(err, p.dir)
		}
	}
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
