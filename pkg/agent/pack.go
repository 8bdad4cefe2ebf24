package agent

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// MediaTypeTree is a directory as a gzipped tar archive with sorted names and
// without times and owners: the same files give the same bytes, so the same digest.
const MediaTypeTree = "application/vnd.agentbus.tree+gzip"

// Bounds of an unpacked tree: what keeps a small archive from filling the disk.
const (
	maxTreeFiles = 100_000
	maxTreeBytes = 2 << 30
)

// Pack writes the directory dir of root as an archive. Besides files and
// directories it takes symbolic links that stay inside dir.
func Pack(w io.Writer, root *os.Root, dir string) error {
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer sub.Close()
	zip := gzip.NewWriter(w) // no name, no time in the header
	archive := tar.NewWriter(zip)
	err = fs.WalkDir(sub.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return packEntry(archive, sub, name, d)
	})
	return errors.Join(err, archive.Close(), zip.Close())
}

func packEntry(archive *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: 0o644, Format: tar.FormatPAX, ModTime: time.Unix(0, 0)}
	switch {
	case info.IsDir():
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, 0o755, name+"/"
	case info.Mode().IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		if info.Mode()&0o111 != 0 {
			h.Mode = 0o755
		}
	case info.Mode()&fs.ModeSymlink != 0:
		if h.Linkname, err = root.Readlink(name); err != nil {
			return err
		}
		if !staysInside(name, h.Linkname) {
			return fmt.Errorf("%s is a link to %s, outside of what is packed", name, h.Linkname)
		}
		h.Typeflag = tar.TypeSymlink
	default:
		return fmt.Errorf("%s is neither a file, a directory nor a link", name)
	}
	if err := archive.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// Unpack writes an archive into the directory dir, which it makes. Names and
// links that lead out of dir, special files, and more than 100,000 entries or
// 2 GiB are refused. The error is then a *[Failure]: the archive is to blame.
func Unpack(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zip, err := gzip.NewReader(r)
	if err != nil {
		return badArchive(err)
	}
	archive := tar.NewReader(zip)
	var left int64 = maxTreeBytes
	for range maxTreeFiles {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return badArchive(err)
		}
		if left -= h.Size; left < 0 {
			return badArchive(fmt.Errorf("it unpacks to more than %d bytes", int64(maxTreeBytes)))
		}
		if err := unpackEntry(root, h, archive); err != nil {
			return err
		}
	}
	return badArchive(fmt.Errorf("it has more than %d entries", maxTreeFiles))
}

func unpackEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if !filepath.IsLocal(name) || strings.ContainsAny(h.Name, "\\\x00") {
		return badArchive(fmt.Errorf("the name %q leads out of the directory", h.Name))
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return badArchive(err)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return badArchive(err)
		}
		return nil
	case tar.TypeSymlink:
		if !staysInside(name, h.Linkname) {
			return badArchive(fmt.Errorf("%s is a link to %s, outside of the directory", name, h.Linkname))
		}
		if err := root.Symlink(h.Linkname, name); err != nil {
			return badArchive(err)
		}
		return nil
	case tar.TypeReg:
		mode := fs.FileMode(0o644)
		if h.Mode&0o111 != 0 {
			mode = 0o755
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return badArchive(err)
		}
		if _, err = io.Copy(f, content); err != nil {
			err = badArchive(err)
		}
		return errors.Join(err, f.Close())
	}
	return badArchive(fmt.Errorf("%s is of type %q; only files, directories and links are taken", name, h.Typeflag))
}

func badArchive(err error) error {
	return failf(CodeArtifactMismatch, "the archive cannot be unpacked: %s; hand on one that %s describes", Clean(err.Error()), MediaTypeTree)
}

// staysInside reports whether the link name -> target leads to a place in the tree.
func staysInside(name, target string) bool {
	return target != "" && !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}
