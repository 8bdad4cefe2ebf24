package main

import (
	"strings"
	"testing"
)

// TestTargetsAndRatios: each line says what was wanted and whether it is so, each ratio how many events
// were under way; a peer without a target has no verdict.
func TestTargetsAndRatios(t *testing.T) {
	var r report
	var out strings.Builder
	r.begin(&out, "a section")
	r.ratio(ratio{Against: bare, Batch: 16, UnderWay: 256, Alone: .849, Shared: 1.02, Wanted: .85})
	r.ratio(ratio{Against: bare, Batch: 1, UnderWay: 16, Alone: .65, Shared: .5, Wanted: .65})
	r.ratio(ratio{Against: mill, Batch: 1, UnderWay: 16, Alone: 2.5, Shared: 2.75})
	r.target(target{What: "rows", Measured: 17_000, Unit: "events/s", Wanted: 17_000})
	r.target(target{What: "p99", Measured: 10, Unit: "ms", Wanted: 10, AtMost: true})
	r.target(target{What: "p50", Measured: 1.95, Unit: "ms", Wanted: 2, AtMost: true})
	r.end(&out)
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	got := strings.Join(lines, "\n")
	for _, want := range []string{
		"bare go-redis loop 16 256 0.85 times 1.02 times at least 0.85: MISSED",
		"bare go-redis loop 1 16 0.65 times 0.50 times at least 0.65: met",
		"Watermill, Redis Streams 1 16 2.50 times 2.75 times\n",
		"rows 17000 events/s at least 17000: met",
		"p99 10.00 ms under 10: MISSED",
		"p50 1.95 ms under 2: met",
	} {
		if !strings.Contains(got+"\n", want) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}
