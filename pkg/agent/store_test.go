package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentbus/pkg/events"
)

func newStore(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := OpenStore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

func openRoot(t *testing.T) *os.Root {
	t.Helper()
	dir := newTask(t).Workspace
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func put(t *testing.T, s *Store, content string) events.Artifact {
	t.Helper()
	root := openRoot(t)
	if err := root.WriteFile("x", []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := s.Put(t.Context(), root, File{Name: "x.txt", Path: "x", MediaType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStoreKeepsContentUnderItsDigest(t *testing.T) {
	s, dir := newStore(t)
	a := put(t, s, "hello")
	const digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	want := events.Artifact{Name: "x.txt", URL: "file://" + dir + "/sha256/" + digest, SHA256: digest, Size: 5, MediaType: "text/plain"}
	if a != want {
		t.Errorf("artifact is %+v, want %+v", a, want)
	}
	stored := filepath.Join(dir, "sha256", digest)
	before, err := os.Stat(stored)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "hello")
	if after, err := os.Stat(stored); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same content was stored again: %v", err)
	}
	var got bytes.Buffer
	if err := s.Get(t.Context(), a, &got); err != nil || got.String() != "hello" {
		t.Errorf("got %q, error %v", got.String(), err)
	}
}

func TestGetRefusesWhatWasNotPromised(t *testing.T) {
	s, dir := newStore(t)
	good := put(t, s, "hello")
	if err := os.WriteFile(filepath.Join(dir, "sha256", strings.Repeat("a", 64)), []byte("jello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*events.Artifact)
		code   Code
		want   string
	}{
		"other content": {func(a *events.Artifact) { a.URL = "file:///x/sha256/" + strings.Repeat("a", 64) }, CodeArtifactMismatch, good.SHA256},
		"other digest":  {func(a *events.Artifact) { a.SHA256 = strings.Repeat("b", 64) }, CodeArtifactMismatch, strings.Repeat("b", 64)},
		"shorter":       {func(a *events.Artifact) { a.Size = 6 }, CodeArtifactMismatch, "6 bytes"},
		"longer":        {func(a *events.Artifact) { a.Size = 4 }, CodeArtifactMismatch, "4 bytes"},
		"not there":     {func(a *events.Artifact) { a.URL = "file:///x/sha256/" + strings.Repeat("c", 64) }, CodeArtifactMissing, "ARTIFACT_URL"},
		"no key":        {func(a *events.Artifact) { a.URL = "file:///etc/passwd" }, CodeArtifactMissing, "/etc/passwd"},
		"key with path": {func(a *events.Artifact) { a.URL = "file:///x/sha256/../../etc/passwd" }, CodeArtifactMissing, "etc"},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			tc.change(&a)
			f := wantFailure(t, s.Get(t.Context(), a, io.Discard), tc.code)
			if !strings.Contains(f.Reason, tc.want) || !strings.Contains(f.Reason, "x.txt") {
				t.Errorf("the reason names neither the artifact nor %s: %s", tc.want, f.Reason)
			}
		})
	}
}

func TestPackIsDeterministicAndComesBack(t *testing.T) {
	var packed [2]bytes.Buffer
	for i := range packed {
		root := openRoot(t)
		for _, name := range [][]string{{"b", "a/x"}, {"a/x", "b"}}[i] { // made in another order
			name = "src/" + name
			if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := root.WriteFile(name, []byte(name), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := root.WriteFile("src/run.sh", []byte("#!"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := root.Symlink("../b", "src/a/link"); err != nil {
			t.Fatal(err)
		}
		if err := Pack(&packed[i], root, "src"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed[0].Bytes(), packed[1].Bytes()) {
		t.Error("the same files gave different archives")
	}
	dir := t.TempDir()
	if err := Unpack(&packed[0], dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"b": "src/b", "a/x": "src/a/x", "a/link": "src/b", "run.sh": "#!"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, error %v", name, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("run.sh lost its mode: %v", err)
	}
}

func TestPackRefusesALinkThatLeadsOut(t *testing.T) {
	root := openRoot(t)
	if err := root.Mkdir("src", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.Symlink("../../etc", "src/out"); err != nil {
		t.Fatal(err)
	}
	if err := Pack(io.Discard, root, "src"); err == nil || !strings.Contains(err.Error(), "out") {
		t.Errorf("error is %v", err)
	}
}

// archive is a gzipped tar of the headers, each file with its own name as content.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpackStaysInside(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, headers := range map[string][]tar.Header{
		"parent":             {file("../escaped")},
		"parent in the path": {file("a/../../escaped")},
		"absolute":           {file("/tmp/agentbus-escaped")},
		"link out":           {link("l", "../..")},
		"absolute link":      {link("l", "/tmp")},
		"through a link":     {link("l", "."), link("l/m", "../.."), file("l/m/escaped")},
		"over a link":        {link("l", "x"), file("l")},
		"twice":              {file("x"), file("x")},
		"hard link":          {{Typeflag: tar.TypeLink, Name: "h", Linkname: "/etc/passwd"}},
		"device":             {{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			outer := t.TempDir()
			err := Unpack(bytes.NewReader(archive(t, headers...)), filepath.Join(outer, "in", "side"))
			wantFailure(t, err, CodeArtifactMismatch)
			for _, escaped := range []string{filepath.Join(outer, "escaped"), filepath.Join(outer, "in", "escaped"), "/tmp/agentbus-escaped"} {
				if _, err := os.Lstat(escaped); err == nil {
					t.Errorf("%s was written", escaped)
				}
			}
		})
	}
}

func TestStoreNamesTheDriverThatIsMissing(t *testing.T) {
	_, err := OpenStore(t.Context(), "nonsense://user:password@bucket?key=secret")
	if err == nil || !strings.Contains(err.Error(), "ARTIFACT_URL") || strings.Contains(err.Error(), "password") {
		t.Errorf("error is %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b"}))
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../x"}))
	f.Add([]byte("not an archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		_ = Unpack(bytes.NewReader(data), filepath.Join(outer, "inside"))
		entries, err := os.ReadDir(outer)
		if err != nil || len(entries) > 1 {
			t.Fatalf("outside of the directory: %v, %v", entries, err)
		}
	})
}
