// Package artifact is the content-addressed store in which stages leave what they hand to the next: a
// folder or a bucket, the same for all agents and for the coordinator, which shows what is in it.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://, the default
	"gocloud.dev/gcerrors"

	"agentbus/pkg/events"
)

var (
	// ErrMissing is returned by [Store.Get] when the store has no such content; the text says where it looked.
	ErrMissing = errors.New("the artifact is not in the store")
	// ErrChanged is returned by [Store.Get] when the store has other bytes than were promised: run the stage
	// that made it again.
	ErrChanged = errors.New("the artifact was changed after it was handed on")
)

// keyPattern is how the store names content: by its digest.
var keyPattern = regexp.MustCompile(`sha256/[0-9a-f]{64}$`)

// Store keeps artifacts under the digest of their content, in a folder or a
// bucket. Safe for concurrent use, also by several agents on one store.
type Store struct {
	bucket *blob.Bucket
	base   string // what artifact URLs begin with, without secrets or options
}

// Open opens ARTIFACT_URL: a folder's path, file:///..., or, in a binary
// built with the tags s3, gcs or azblob, their s3://, gs:// and azblob:// as gocloud.dev documents them.
func Open(ctx context.Context, address string) (*Store, error) {
	open, base, err := storeURL(address)
	if err != nil {
		return nil, err
	}
	bucket, err := blob.OpenBucket(ctx, open)
	if err != nil {
		hint := ""
		if strings.Contains(err.Error(), "no driver registered") {
			hint = "; this binary was not built for it: go build -tags s3, azblob or gcs"
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

// Save stores content, which is read twice, under its digest, and returns a with its digest, size and URL.
// Content that the store has already is not sent again.
func (s *Store) Save(ctx context.Context, a events.Artifact, content io.ReadSeeker) (events.Artifact, error) {
	sum := sha256.New()
	var err error
	if a.Size, err = io.Copy(sum, content); err != nil {
		return a, err
	}
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	key := "sha256/" + a.SHA256
	a.URL = s.base + "/" + key
	if ok, err := s.bucket.Exists(ctx, key); ok || err != nil {
		return a, err
	}
	if _, err = content.Seek(0, io.SeekStart); err != nil {
		return a, err
	}
	return a, s.upload(ctx, key, content, a)
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

// Open opens the artifact's bytes for reading. The error is [ErrMissing] when the store has no such content.
// A read ends with [ErrChanged], short of the last bytes, when they are others than were promised.
func (s *Store) Open(ctx context.Context, a events.Artifact) (io.ReadCloser, error) {
	key := keyPattern.FindString(a.URL)
	if key == "" {
		return nil, fmt.Errorf("%w: %s has the URL %s, which does not end in sha256/<digest>", ErrMissing, a.Name, a.URL)
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("%w: %s (%s) is not in %s; do all have the same ARTIFACT_URL?", ErrMissing, a.Name, a.URL, s.base)
	}
	if err != nil {
		return nil, err
	}
	return &verified{a: a, r: r, sum: sha256.New()}, nil
}

// Get writes the artifact's bytes to w. The error is [ErrMissing] or [ErrChanged], with what was expected
// and found, when the store does not have what was promised; w then holds rubbish.
func (s *Store) Get(ctx context.Context, a events.Artifact, w io.Writer) error {
	r, err := s.Open(ctx, a)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}
