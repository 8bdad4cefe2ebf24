package artifact

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"agentbus/pkg/events"
)

// TestChangedContentNeverComesWhole: whatever its size and however it is read, the last bytes stay back.
func TestChangedContentNeverComesWhole(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, size := range []int{1, 25, 5_000, 32 << 10, 100_000, 1 << 20} {
		content := bytes.Repeat([]byte("y"), size)
		a, err := s.Save(t.Context(), events.Artifact{Name: "report"}, bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for _, chunk := range []int{1 << 10, 32 << 10, 2 << 20} {
			if got, err := readBy(t, s, a, chunk); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes by %d: %d came, error %v; want all", size, chunk, len(got), err)
			}
		}
		path := filepath.Join(dir, "sha256", a.SHA256)
		for name, other := range map[string][]byte{"other": bytes.Repeat([]byte("x"), size), "longer": append(content, 'y'), "shorter": content[:size-1],
			"other at the end": append(bytes.Repeat([]byte("y"), size-1), 'x')} {
			if err := os.WriteFile(path, other, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, chunk := range []int{1 << 10, 32 << 10, 2 << 20} {
				if got, err := readBy(t, s, a, chunk); !errors.Is(err, ErrChanged) || len(got) >= size {
					t.Errorf("%d bytes, %s, by %d: %d came, error %v; want fewer and ErrChanged", size, name, chunk, len(got), err)
				}
			}
		}
	}
}

func readBy(t *testing.T, s *Store, a events.Artifact, chunk int) (got []byte, err error) {
	t.Helper()
	r, err := s.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for buffer := make([]byte, chunk); ; {
		n, err := r.Read(buffer)
		got = append(got, buffer[:n]...)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

func TestEmptyContent(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a, err := s.Save(t.Context(), events.Artifact{Name: "nothing"}, bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := s.Get(t.Context(), a, &got); err != nil || got.Len() != 0 {
		t.Errorf("%d bytes, error %v", got.Len(), err)
	}
}
