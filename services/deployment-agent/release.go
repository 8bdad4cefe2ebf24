package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// site is the folder of one service:
//
//	<DEPLOY_DIR>/<service>/lock                     held while somebody changes it
//	                      /current -> releases/<v>  the confirmed release
//	                      /releases/<v>/            program, release.json, process.json, release.log
//
// current always names a release that answered its health check: a new one is
// started beside it on a port of its own, and current moves only afterwards.
type site struct {
	dir     string
	service string
}

// release is what release.json says.
type release struct {
	Version    string    `json:"version"`
	WorkflowID string    `json:"workflow_id"`
	Source     string    `json:"source_sha256"`
	HealthPath string    `json:"health_path"`
	Created    time.Time `json:"created"`
}

// Files of a release.
const (
	programFile = "program"
	releaseFile = "release.json"
	processFile = "process.json"
	logFile     = "release.log"
)

func openSite(base, service string) (*site, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	s := &site{dir: filepath.Join(base, service), service: service}
	if err := os.MkdirAll(filepath.Join(s.dir, "releases"), 0o755); err != nil {
		return nil, fmt.Errorf("DEPLOY_DIR: %w", err)
	}
	return s, nil
}

// sites lists what is in DEPLOY_DIR.
func sites(base string) ([]*site, error) {
	entries, err := os.ReadDir(base)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var list []*site
	for _, e := range entries {
		if _, statErr := os.Stat(filepath.Join(base, e.Name(), "releases")); statErr == nil {
			s, openErr := openSite(base, e.Name())
			if err = errors.Join(err, openErr); openErr == nil {
				list = append(list, s)
			}
		}
	}
	return list, err
}

func (s *site) path(version, file string) string {
	return filepath.Join(s.dir, "releases", version, file)
}

// current is the version that is live, "" before the first.
func (s *site) current() (string, error) {
	target, err := os.Readlink(filepath.Join(s.dir, "current"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return filepath.Base(target), err
}

// switchTo makes version the current one in one step: readers see the old or the
// new link, never none.
func (s *site) switchTo(version string) error {
	next := filepath.Join(s.dir, ".current-next")
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join("releases", version), next); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(s.dir, "current"))
}

func (s *site) release(version string) (r release, err error) {
	return r, readJSON(s.path(version, releaseFile), &r)
}

// releases lists the complete ones, newest first.
func (s *site) releases() ([]release, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "releases"))
	var list []release
	for _, e := range entries {
		if r, readErr := s.release(e.Name()); readErr == nil {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b release) int { return b.Created.Compare(a.Created) })
	return list, err
}

// prune removes all but the current release and the keep newest others.
func (s *site) prune(keep int) error {
	current, err := s.current()
	if err != nil {
		return err
	}
	list, err := s.releases()
	for _, r := range list {
		if r.Version == current {
			continue
		}
		if keep--; keep < 0 {
			err = errors.Join(err, os.RemoveAll(s.path(r.Version, "")))
		}
	}
	return err
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces the file in one step.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
