package sql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// nobody is the id that root bears inside the user namespace. initdb wants a
// name for it, and every Debian has this one.
const nobody = 65534

// account is whom the programs of Postgres run as. Postgres refuses to run as
// root, so root has two ways: a user namespace in which it looks like nobody
// while all files stay root's, or becoming the user who owns the directory.
type account struct {
	uid, gid  int  // who owns the files, as seen from outside any namespace
	namespace bool // run in a user namespace, as nobody
	become    bool // we are root and turn into uid
}

// attributes are those of a child process: its own session, so that Ctrl-C and
// a closing terminal reach Postgres only through us, and, unless it is 0, the
// signal that it gets when the thread that started it ends.
func (a account) attributes(parentDeath syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: parentDeath}
	if a.namespace {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: a.uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: a.gid, Size: 1}}
	}
	if a.become {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// own gives a file that root created to the account.
func (a account) own(file *os.File) error {
	if !a.become {
		return nil
	}
	return file.Chown(a.uid, a.gid)
}

// ownerOf is the account of the user to whom a directory belongs.
func ownerOf(dir string) (account, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return account{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, fmt.Errorf("the owner of %s is not known on this system", dir)
	}
	uid, gid := int(stat.Uid), int(stat.Gid)
	return account{uid: uid, gid: gid, become: os.Geteuid() == 0 && uid != 0}, nil
}

// chooseAccount finds out as whom Postgres can run on a data directory.
func chooseAccount(ctx context.Context, dir string, bin programs, namespaces bool, log *slog.Logger) (account, error) {
	owner, err := ownerOf(dir)
	if err != nil {
		return account{}, err
	}
	uid := os.Geteuid()
	switch {
	case owner.uid != uid && uid != 0:
		return account{}, fmt.Errorf("%s belongs to %s and this is %s: run btcwatch as %[2]s, or give the directory away with chown -R %[3]s %[1]s",
			dir, userName(owner.uid), userName(uid))
	case owner.become:
		return owner, nil
	case uid != 0 && hasName(uid):
		return owner, nil
	}
	inside := owner
	inside.namespace = true
	if namespaces && hasName(nobody) && inside.canRun(ctx, bin) {
		return inside, nil
	}
	if uid != 0 {
		return owner, nil
	}
	return giveAway(dir, log)
}

// canRun tries whether this system lets the account run a program at all:
// containers and hardened services may forbid user namespaces.
func (a account) canRun(ctx context.Context, bin programs) bool {
	cmd := exec.CommandContext(ctx, bin.path("postgres"), "--version")
	cmd.SysProcAttr = a.attributes(0)
	cmd.Dir = "/"
	return cmd.Run() == nil
}

// giveAway hands root's data directory to an unprivileged user: the way that
// is left where user namespaces are forbidden.
func giveAway(dir string, log *slog.Logger) (account, error) {
	to, err := unprivileged()
	if err != nil {
		return account{}, err
	}
	if closed := closedParent(dir, to); closed != "" {
		return account{}, fmt.Errorf("PostgreSQL does not run as root, user namespaces are not allowed here, and user %s cannot pass through %s: choose a data_dir like /var/lib/btcwatch, or run btcwatch as an ordinary user",
			userName(to.uid), closed)
	}
	log.Warn("data directory given to an unprivileged user, because postgres does not run as root", "dir", dir, "user", userName(to.uid))
	return to, to.ownTree(dir)
}

// unprivileged is the user that Debian's Postgres packages make, else nobody.
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uid, gid: gid, become: true}, nil
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, user namespaces are not allowed here, and there is no user postgres: run btcwatch as an ordinary user (adduser --system --group btcwatch)")
}

// closedParent gives the first directory above dir that the account may not
// pass through.
func closedParent(dir string, a account) string {
	closed := ""
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		owner, ownerErr := ownerOf(parent)
		open := err == nil && ownerErr == nil &&
			(info.Mode()&0o001 != 0 || owner.uid == a.uid && info.Mode()&0o100 != 0)
		if !open {
			closed = parent
		}
		if parent == filepath.Dir(parent) {
			return closed
		}
	}
}

// ownTree gives the data directory and all of the cluster in it to the
// account; what else lies there stays as it is.
func (a account) ownTree(dir string) error {
	if err := os.Lchown(dir, a.uid, a.gid); err != nil {
		return err
	}
	for _, name := range []string{lockName, startLockName, clusterName, socketName, logName} {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			return os.Lchown(path, a.uid, a.gid)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func hasName(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// userName is the user's name for messages, or the number when it has none.
func userName(uid int) string {
	found, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return found.Username
}
