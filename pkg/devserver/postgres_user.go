package devserver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// privatePrefix starts the name of a cluster's folder under os.TempDir().
const privatePrefix = "agentbus-postgres-"

// postgresUser is whom the server runs as: nil for oneself, the user postgres for root.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root and there is no user postgres to run it as: create one (useradd --system postgres) or run as another user: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// postgresDir makes the directory ready for a cluster of this user and returns where it really is.
func postgresDir(dir string, as *syscall.Credential) (string, error) {
	if dir == "" {
		return "", errors.New("option Dir must be set")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if as == nil {
		return dir, os.MkdirAll(dir, 0o700)
	}
	if reachable(filepath.Dir(dir), as) && privateTarget(dir) == "" {
		return dir, ownDir(dir, as)
	}
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 && privateTarget(dir) == "" {
		return "", fmt.Errorf("%s is a link of yours, and user postgres cannot enter %s: name the folder itself", dir, filepath.Dir(dir))
	}
	private := privateDir(dir)
	if !reachable(filepath.Dir(private), as) {
		return "", fmt.Errorf("user postgres can enter neither %s nor %s: set TMPDIR to a folder it can enter", filepath.Dir(dir), filepath.Dir(private))
	}
	if err := ownDir(private, as); err != nil {
		return "", err
	}
	// A link left by a copy of the checkout, or an empty folder, gives way; a folder with content does not.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is in the way of a link to %s: %w", dir, private, err)
	}
	return private, os.Symlink(private, dir)
}

// ownDir creates a folder that only this user may enter. One that exists must already be theirs or be
// ours: in a folder that everybody writes to, such as /tmp, another's is a trap.
func ownDir(dir string, as *syscall.Credential) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || owner != as.Uid && owner != uint32(os.Geteuid()) {
		return fmt.Errorf("%s exists and is not a folder of the user postgres (uid %d): remove it", dir, as.Uid)
	}
	if err := os.Lchown(dir, int(as.Uid), int(as.Gid)); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// reachable tells whether the user can enter dir, judged by the mode bits of it and all its parents.
func reachable(dir string, as *syscall.Credential) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		stat := info.Sys().(*syscall.Stat_t)
		bit := fs.FileMode(0o001)
		switch {
		case stat.Uid == as.Uid:
			bit = 0o100
		case stat.Gid == as.Gid || slices.Contains(as.Groups, stat.Gid):
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// privateDir is where the cluster of dir lives when the user cannot reach dir; always the same place,
// so that it is found again even when the link is lost.
func privateDir(dir string) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s%.12x", privatePrefix, sha256.Sum256([]byte(dir))))
}

// privateTarget is where dir links to, "" when it is not a link of this package's.
func privateTarget(dir string) string {
	target, err := os.Readlink(dir)
	if err != nil || !strings.HasPrefix(filepath.Base(target), privatePrefix) {
		return ""
	}
	return target
}

// RemovePostgres removes the cluster of a stopped server, wherever it lives. Dir may be missing.
func RemovePostgres(dir string) error {
	if target := privateTarget(dir); target != "" {
		if err := os.RemoveAll(target); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
