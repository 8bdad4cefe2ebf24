package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

func message(seq int64, data string) consumer.Message {
	return consumer.Message{Seq: seq, Event: events.Event{
		ID: fmt.Sprintf("3f1e0c52-8f4f-4f0e-9a57-%012d", seq), Type: events.WorkflowProgressed, WorkflowID: "wf-1",
		Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), SourceAgent: "tester", Data: json.RawMessage(data),
		Metadata: map[string]string{"authorization": "abc", "traceparent": "00-1"},
	}}
}

func aggregator1(sinks ...*sink) *aggregator {
	return newAggregator(prometheus.NewRegistry(), zerolog.Nop(), redact.New([]string{"token", "authorization"}), sinks...)
}

func TestLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := message(7, `{"percent":60,"message":"a <b>\nline","token":"x"}`)
	before, err := json.Marshal(m.Event)
	if err != nil {
		t.Fatal(err)
	}
	plain := message(8, ` { "a" : "<b> & \u00e9" } `)
	plain.Event.Metadata = nil
	for _, err := range aggregator1(&sink{name: "out", out: &out}).handle(t.Context(), []consumer.Message{m, plain}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := `{"time":"2026-01-02T03:04:05.678Z","seq":7,"type":"workflow.progressed","workflow_id":"wf-1","source_agent":"tester",` +
		`"event_id":"3f1e0c52-8f4f-4f0e-9a57-000000000007","data":{"message":"a <b>\nline","percent":60,"token":"[REDACTED]"},` +
		`"metadata":{"authorization":"[REDACTED]","traceparent":"00-1"}}` + "\n" +
		`{"time":"2026-01-02T03:04:05.678Z","seq":8,"type":"workflow.progressed","workflow_id":"wf-1","source_agent":"tester",` +
		`"event_id":"3f1e0c52-8f4f-4f0e-9a57-000000000008","data":{"a":"<b> & \u00e9"}}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	after, err := json.Marshal(m.Event)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Errorf("the event was changed to %s", after)
	}
}

// full is a writer on a disk that is full after some bytes, until room is made.
type full struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.Buffer.Write(p)
	}
	n, _ := f.Buffer.Write(p[:f.room])
	f.room = 0
	return n, errFull
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := &full{room: 100}
	a := aggregator1(&sink{name: "file", out: disk})
	batch := []consumer.Message{message(1, `{"a":1}`), message(2, `{"a":2}`)}
	for i, err := range a.handle(t.Context(), batch) {
		if !errors.Is(err, errFull) || fmt.Sprintf("%T", err) != fmt.Sprintf("%T", consumer.Unavailable(errFull)) {
			t.Errorf("message %d: %v, want unavailable", i, err)
		}
	}
	disk.room = 1 << 20
	for i, err := range a.handle(t.Context(), batch) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(disk.String(), "\n"), "\n")
	if len(lines) != 3 || json.Valid([]byte(lines[0])) || !json.Valid([]byte(lines[1])) || !json.Valid([]byte(lines[2])) {
		t.Errorf("want one torn line and two whole ones, got %q", lines)
	}
}

func TestFileIsRotatedBetweenLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := &lumberjack.Logger{Filename: filepath.Join(dir, "events.log"), MaxSize: minFileMB}
	defer func() { _ = file.Close() }()
	a := aggregator1(&sink{name: "file", out: file})
	const batches, size = 12, 10
	wide := strings.Repeat("x y ", 25_000)
	for b := range batches {
		var batch []consumer.Message
		for i := range size {
			batch = append(batch, message(int64(b*size+i), `{"wide":"`+wide+`"}`))
		}
		for _, err := range a.handle(t.Context(), batch) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "events*.log"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v; want the file and a rotated one", len(files), err)
	}
	n := 0
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for l := range bytes.Lines(content) {
			if !json.Valid(l) {
				t.Fatalf("%s has the torn line %.80q", name, l)
			}
			n++
		}
	}
	if n != batches*size {
		t.Errorf("%d lines in all files, want %d", n, batches*size)
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	long := append(bytes.Repeat([]byte("l"), chunkBytes+5), '\n')
	short := []byte("short\n")
	all := append(append(append([]byte{}, short...), long...), short...)
	var got [][]byte
	for rest := all; len(rest) > 0; {
		c := chunkOf(rest)
		got, rest = append(got, c), rest[len(c):]
	}
	if len(got) != 3 || !bytes.Equal(got[0], short) || !bytes.Equal(got[1], long) || !bytes.Equal(got[2], short) {
		t.Errorf("%d chunks, want the three lines", len(got))
	}
}
