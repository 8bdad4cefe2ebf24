package chaos

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
)

// table collects a row per fault, for TestMain to print.
var table struct {
	mu   sync.Mutex
	rows []ledger.Row
}

// report adds a line to the table and judges nothing: the test does.
func report(t testing.TB, fault string, runs int, r ledger.Report, recovery time.Duration) {
	t.Helper()
	var out bytes.Buffer
	_ = r.Write(&out) // a buffer takes everything
	t.Logf("%s: recovered in %v\n%s", fault, recovery.Round(time.Millisecond), out.String())
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, r.Row(fault, runs, recovery))
}

// full tells whether the long half is wanted.
func full() bool { return os.Getenv("CHAOS") == "full" }

// rounds is how often a fault is repeated in the half that runs.
func rounds(quick, long int) int {
	if full() {
		return long
	}
	return quick
}

// long leaves a test to the long half.
func long(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("belongs to the long half: CHAOS=full, or make chaos")
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := printTable(); err != nil {
		fmt.Fprintln(os.Stderr, "table of faults:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func printTable() error {
	slices.SortFunc(table.rows, func(a, b ledger.Row) int { return strings.Compare(a.Fault, b.Fault) })
	if len(table.rows) == 0 {
		return nil
	}
	if err := ledger.WriteTable(os.Stdout, table.rows); err != nil {
		return err
	}
	name := os.Getenv("CHAOS_TABLE")
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return ledger.WriteTable(f, table.rows)
}
