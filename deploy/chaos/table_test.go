package chaos

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
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

// atOnce is how many parallel tests run at once, whatever the number of cores: they
// wait most of the time, for members to be taken for dead or for a fault to last.
const atOnce = 6

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			panic(err) // of a literal
		}
	}
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
