package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// programs is a folder with the services' programs: that of AGENTBUS_BIN, else one with the wanted ones,
// built as `make build` does it. except are those in it that are not wanted.
func programs(t *testing.T, wanted []string) (dir string, except []string) {
	t.Helper()
	if dir = os.Getenv("AGENTBUS_BIN"); dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains(wanted, e.Name()) {
				except = append(except, e.Name())
			}
		}
		return dir, except
	}
	dir = t.TempDir()
	for _, name := range wanted {
		build(t, filepath.Join(dir, name), filepath.Join("..", "..", "services", name))
	}
	return dir, nil
}

// agentctl is the operator's tool.
func agentctl(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("AGENTBUS_BIN"); dir != "" {
		return filepath.Join(dir, "agentctl")
	}
	program := filepath.Join(t.TempDir(), "agentctl")
	build(t, program, filepath.Join("..", "agentctl"))
	return program
}

func build(t *testing.T, program, source string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", source, err, out)
	}
}
