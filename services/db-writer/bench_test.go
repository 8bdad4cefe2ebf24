package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// BenchmarkBatches stores what a fleet of 1,000 workflows says, in batches of 500 and 1,000 events of
// all stored types, in a server that syncs its files as a real one does. An operation is one batch.
func BenchmarkBatches(b *testing.B) {
	for _, size := range []int{500, 1000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			server := servertest.OwnPostgres(b)
			w := newWriter(b, server.URL)
			fleet := newFleet(b, 1000)
			wellStored(b, w.handle(b.Context(), fleet.batch(size))) // connects and prepares
			var own time.Duration
			theirs := treeCPU(server.PID())
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				batch := fleet.batch(size)
				from := ownCPU(b)
				b.StartTimer()
				wellStored(b, w.handle(b.Context(), batch))
				own += ownCPU(b) - from
			}
			n := float64(b.N * size)
			b.ReportMetric(float64(own.Nanoseconds())/n/1000, "cpu-µs/event")
			b.ReportMetric(float64((treeCPU(server.PID())-theirs).Microseconds())/n, "pg-µs/event")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/n, "ns/event")
		})
	}
}

// BenchmarkRows reads the batches' payloads, without the database.
func BenchmarkRows(b *testing.B) {
	batch := newFleet(b, 1000).batch(1000)
	b.ReportAllocs()
	for b.Loop() {
		for i, m := range batch {
			if _, err := newRow(i, m); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// fleet is workflows whose events take turns; each sees all stored types.
type fleet struct {
	workflows int
	next      int64
	types     []events.Type
	data      []json.RawMessage
}

func newFleet(b *testing.B, workflows int) *fleet {
	b.Helper()
	f := &fleet{workflows: workflows}
	var err error
	if f.types, err = types(); err != nil {
		b.Fatal(err)
	}
	for _, typ := range f.types {
		raw, err := json.Marshal(sample(typ))
		if err != nil {
			b.Fatal(err)
		}
		f.data = append(f.data, raw)
	}
	return f
}

func (f *fleet) batch(size int) []consumer.Message {
	batch := make([]consumer.Message, size)
	for i := range batch {
		of := int(f.next) % len(f.types)
		f.next++
		batch[i] = consumer.Message{Seq: f.next, Event: events.Event{
			ID: uuid.NewString(), Type: f.types[of], WorkflowID: fmt.Sprintf("bench-%d", (int(f.next)/len(f.types)+of)%f.workflows),
			Timestamp: time.Now().UTC().Truncate(time.Microsecond), Data: f.data[of], SourceAgent: "bench",
			Metadata: map[string]string{events.MetadataTenant: "team-payments-europe"},
		}}
	}
	return batch
}

// sample is a payload that makes an event of about 350 bytes.
func sample(typ events.Type) any {
	const correlation = "7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10"
	switch typ {
	case events.WorkflowCreated:
		return events.WorkflowCreatedData{Name: "a workflow of the benchmark, with a name that somebody might give", Stages: events.Stages()}
	case events.WorkflowStarted:
		return events.WorkflowStartedData{Stage: events.Generation}
	case events.WorkflowProgressed:
		return events.WorkflowProgressedData{Percent: 40, Stage: events.Audit, StagePercent: 60, Attempt: 1, Message: "37 of 61 files are read, no finding so far"}
	case events.WorkflowCompleted:
		return events.WorkflowCompletedData{DurationMS: 4210}
	case events.WorkflowFailed:
		return events.WorkflowFailedData{Stage: events.Testing, Code: "tests_failed", Reason: "2 of 61 tests failed: TestGreets, TestRefuses", DurationMS: 4210}
	case events.WorkflowCancelled:
		return events.WorkflowCancelledData{Stage: events.Testing, Reason: "cancelled by its owner", DurationMS: 4210}
	}
	if strings.HasSuffix(string(typ), ".failed") {
		return events.StageFailedData{CorrelationID: correlation, Attempt: 1, DurationMS: 930, Code: "timeout", Reason: "the tool ran longer than 2m0s", Retryable: true}
	}
	return events.StageDoneData{CorrelationID: correlation, Attempt: 1, DurationMS: 1480, Summary: json.RawMessage(`{"files":61,"findings":{"high":0,"medium":1}}`)}
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// treeCPU is what a process and its children have used; 0 where there is no /proc.
func treeCPU(pid int) time.Duration {
	const tick = 10 * time.Millisecond
	var sum time.Duration
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // a child may have ended
	if _, rest, ok := strings.Cut(string(raw), ") "); ok {
		fields := strings.Fields(rest)
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		sum = time.Duration(user+system) * tick
	}
	raw, _ = os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(raw)) {
		if n, err := strconv.Atoi(child); err == nil {
			sum += treeCPU(n)
		}
	}
	return sum
}
