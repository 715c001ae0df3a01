package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What lies in the data directory.
const (
	lockName      = "lock"         // shared by all who use the cluster
	startLockName = "lock.start"   // held alone by who creates or starts it
	clusterName   = "postgres"     // the cluster itself
	newName       = "postgres.new" // and a suffix: a cluster being made
	socketName    = "socket"       // directory of the unix socket
	logName       = "postgres.log"
)

// A unix socket's path has room for 107 bytes, and this is its end.
const (
	longestSocket = 107
	socketFile    = "/.s.PGSQL.5432"
)

// prepareDir creates the data directory when it is absent and gives its real
// path. It refuses one that others can write to: they could put their own
// socket or cluster there.
func prepareDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("data_dir is empty: name a directory for the private database")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", advise(err, dir)
	}
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", advise(err, dir)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", advise(err, dir)
	}
	if open := info.Mode().Perm() & 0o022; open != 0 {
		return "", fmt.Errorf("others can write to %s (mode %04o): chmod go-w %[1]s", path, info.Mode().Perm())
	}
	return path, nil
}

// socketDir says where a cluster's socket goes: into its data directory, or,
// when that path is too long for a socket or has characters that Postgres
// would read as a list, into a short directory named after it.
func socketDir(dir string) string {
	path := filepath.Join(dir, socketName)
	if len(path)+len(socketFile) <= longestSocket && !strings.ContainsAny(path, `,"'`) && !strings.HasPrefix(path, "@") {
		return path
	}
	sum := sha256.Sum256([]byte(dir))
	name := "btcwatch-" + hex.EncodeToString(sum[:8])
	// systemd names the service's own runtime directory here.
	runtime, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if path := filepath.Join(runtime, name); runtime != "" && len(path)+len(socketFile) <= longestSocket {
		return path
	}
	return filepath.Join("/tmp", name)
}

// ownDir creates a directory of the account, or makes sure that it is one,
// with mode 0700. Authentication rests on nobody else getting in.
func ownDir(path string, a account) error {
	created := true
	if err := os.Mkdir(path, 0o700); errors.Is(err, fs.ErrExist) {
		created = false
	} else if err != nil {
		return advise(err, filepath.Dir(path))
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open %s, which must be a directory and no link: %w", path, err)
	}
	defer dir.Close()
	if created {
		if err := a.own(dir); err != nil {
			return err
		}
	}
	return tighten(dir, a)
}

// tighten refuses a directory that is another's and closes it to others.
func tighten(dir *os.File, a account) error {
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != a.uid {
		return fmt.Errorf("%s does not belong to %s: remove it, or chown -R %[2]s %[1]s if it is yours", dir.Name(), userName(a.uid))
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	return dir.Chmod(0o700)
}

// freeSpace gives the bytes that are free for the files of a directory.
func freeSpace(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// advise adds to an error about a directory what to do about it.
func advise(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space on the disk of %s (df -h %[2]s)", err, dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: set data_dir to a place that can be written to", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s may not write there; run btcwatch as the user who owns %s, or set data_dir to another place",
			err, userName(os.Geteuid()), withOwner(nearestExisting(dir)))
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: data_dir must be a directory", err)
	}
	return err
}

// adviseOn does the same for the words of a program of Postgres.
func adviseOn(output, dir string) string {
	switch {
	case strings.Contains(output, syscall.ENOSPC.Error()), strings.Contains(output, "No space left on device"):
		return fmt.Sprintf("free some space on the disk of %s (df -h %[1]s)", dir)
	case strings.Contains(output, "ermission denied"):
		return fmt.Sprintf("see to it that all of %s belongs to the user who runs btcwatch", dir)
	case strings.Contains(output, "could not look up effective user ID"):
		return "run btcwatch as a user that has a name (adduser --system --group btcwatch)"
	}
	return fmt.Sprintf("see %s", filepath.Join(dir, logName))
}

func withOwner(dir string) string {
	owner, err := ownerOf(dir)
	if err != nil {
		return dir
	}
	return fmt.Sprintf("%s (%s)", dir, userName(owner.uid))
}

func nearestExisting(dir string) string {
	for dir != filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}
