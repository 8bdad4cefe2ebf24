package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://, the default
	"gocloud.dev/gcerrors"

	"agentbus/pkg/events"
)

// keyPattern is how the store names content: by its digest.
var keyPattern = regexp.MustCompile(`sha256/[0-9a-f]{64}$`)

// Store keeps artifacts under the digest of their content, in a folder or a
// bucket. Safe for concurrent use, also by several agents on one store.
type Store struct {
	bucket *blob.Bucket
	base   string // what artifact URLs begin with, without secrets or options
}

// OpenStore opens ARTIFACT_URL: a folder's path, file:///..., or, in a binary
// built with the tag cloud, s3://, gs:// and azblob:// as gocloud.dev documents them.
func OpenStore(ctx context.Context, address string) (*Store, error) {
	open, base, err := storeURL(address)
	if err != nil {
		return nil, err
	}
	bucket, err := blob.OpenBucket(ctx, open)
	if err != nil {
		hint := ""
		if strings.Contains(err.Error(), "no driver registered") {
			hint = "; this binary knows file:// only, build it with -tags cloud for s3://, gs:// and azblob://"
		}
		// The library quotes the URL, which may hold credentials.
		return nil, fmt.Errorf("ARTIFACT_URL=%s: %s%s", base, strings.ReplaceAll(err.Error(), open, base), hint)
	}
	return &Store{bucket: bucket, base: base}, nil
}

// storeURL is the URL to open and the one to show.
func storeURL(address string) (open, base string, err error) {
	if address == "" {
		return "", "", fmt.Errorf("ARTIFACT_URL is empty; give a folder or a bucket's URL")
	}
	if !strings.Contains(address, "://") {
		if address, err = filepath.Abs(address); err != nil {
			return "", "", err
		}
		address = "file://" + filepath.ToSlash(address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", fmt.Errorf("ARTIFACT_URL: %w", err)
	}
	if u.Scheme == "file" {
		q := u.Query()
		// Temporary files beside the final ones, so that the rename is atomic.
		for name, value := range map[string]string{"create_dir": "true", "no_tmp_dir": "true", "metadata": "skip"} {
			if !q.Has(name) {
				q.Set(name, value)
			}
		}
		u.RawQuery = q.Encode()
	}
	open = u.String()
	u.RawQuery, u.User = "", nil
	return open, strings.TrimSuffix(u.String(), "/"), nil
}

// Close closes the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

// Ready says whether the store can be reached, for readiness checks.
func (s *Store) Ready(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = fmt.Errorf("%s does not exist or may not be read", s.base)
	}
	return err
}

// Put stores the file or directory f of the workspace root and returns its name
// to others. Content that the store has already is not sent again. The error is a
// [*Failure] when it is the tool's file that cannot be read.
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
	sum := sha256.New()
	if a.Size, err = io.Copy(sum, file); err != nil {
		return a, err
	}
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	key := "sha256/" + a.SHA256
	a.URL = s.base + "/" + key
	if ok, err := s.bucket.Exists(ctx, key); ok || err != nil {
		return a, err
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return a, err
	}
	return a, s.upload(ctx, key, file, a)
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

// upload writes again what was counted, and lets it become visible only when it
// is still the same: somebody may have changed the file meanwhile.
func (s *Store) upload(ctx context.Context, key string, r io.Reader, a events.Artifact) error {
	ctx, cancel := context.WithCancel(ctx) // cancelled before Close: the blob is not made
	defer cancel()
	mediaType := a.MediaType
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: mediaType})
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(w, sum), r)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != a.SHA256 {
		err = fmt.Errorf("%s changed while it was stored", a.Name)
	}
	if err != nil {
		cancel()
		_ = w.Close() // says that it was cancelled
		return err
	}
	return w.Close()
}

// Get writes the artifact's bytes to w. The error is a [*Failure] when the store
// has no such content or other bytes than were promised; w then holds rubbish.
func (s *Store) Get(ctx context.Context, a events.Artifact, w io.Writer) error {
	key := keyPattern.FindString(a.URL)
	if key == "" {
		return failf(CodeArtifactMissing, "the artifact %s has the URL %s, which does not end in sha256/<digest>", a.Name, a.URL)
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return failf(CodeArtifactMissing, "the artifact %s (%s) is not in the store %s; do all agents have the same ARTIFACT_URL?", a.Name, a.URL, s.base)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, a.Size+1))
	if err != nil {
		return err
	}
	if n != a.Size {
		return failf(CodeArtifactMismatch, "the artifact %s should have %d bytes, the store has %d; it was changed after it was handed on: run the stage that made it again", a.Name, a.Size, r.Size())
	}
	if found := hex.EncodeToString(sum.Sum(nil)); found != a.SHA256 {
		return failf(CodeArtifactMismatch, "the artifact %s should have sha256 %s, the store has %s; it was changed after it was handed on: run the stage that made it again", a.Name, a.SHA256, found)
	}
	return nil
}
