package agent

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/events"
)

// Store keeps artifacts under the digest of their content, in a folder or a
// bucket. Safe for concurrent use, also by several agents on one store.
type Store struct {
	*artifact.Store
}

// OpenStore opens ARTIFACT_URL; see [artifact.Open].
func OpenStore(ctx context.Context, address string) (*Store, error) {
	s, err := artifact.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// Put stores the file or directory f of the workspace root and returns its name
// to others. The error is a [*Failure] when it is the tool's file that cannot be
// read.
func (s *Store) Put(ctx context.Context, root *os.Root, f File) (events.Artifact, error) {
	a := events.Artifact{Name: f.Name, MediaType: f.MediaType}
	info, err := root.Stat(f.Path)
	if err != nil {
		return a, failf(CodeBadResult, "the artifact %s cannot be read from the workspace: %v", f.Name, err)
	}
	path := f.Path
	if info.IsDir() {
		a.MediaType = MediaTypeTree
		path = filepath.Join(tempDir, "pack-"+f.Name)
		if err := packFile(root, f.Path, path); err != nil {
			return a, failf(CodeBadResult, "the artifact %s cannot be packed: %v", f.Name, err)
		}
		defer func() { _ = root.Remove(path) }()
	}
	file, err := root.Open(path)
	if err != nil {
		return a, failf(CodeBadResult, "the artifact %s cannot be read from the workspace: %v", f.Name, err)
	}
	defer file.Close()
	return s.Save(ctx, a, file)
}

func packFile(root *os.Root, dir, to string) error {
	f, err := root.Create(to)
	if err != nil {
		return err
	}
	if err = Pack(f, root, dir); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Get writes the artifact's bytes to w. The error is a [*Failure] when the store
// has no such content or other bytes than were promised; w then holds rubbish.
func (s *Store) Get(ctx context.Context, a events.Artifact, w io.Writer) error {
	err := s.Store.Get(ctx, a, w)
	switch {
	case errors.Is(err, artifact.ErrMissing):
		return failf(CodeArtifactMissing, "%v", err)
	case errors.Is(err, artifact.ErrChanged):
		return failf(CodeArtifactMismatch, "%v", err)
	}
	return err
}
