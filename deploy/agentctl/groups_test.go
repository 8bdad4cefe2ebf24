package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// consumed makes b a member of a group for all it should handle; stop ends that.
func consumed(t *testing.T, b *bus.Bus, group string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	handled := make(chan struct{})
	first := sync.OnceFunc(func() { close(handled) })
	go func() {
		done <- consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: []events.Type{events.WorkflowProgressed}, Handle: func(context.Context, consumer.Message) error {
			first()
			return nil
		}})
	}()
	select {
	case <-handled:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing reached the group")
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestGroupsRemove(t *testing.T) {
	url, prefix := servertest.Redis(t), servertest.Prefix(t)
	t.Setenv("BUS_PREFIX", prefix)
	b, err := bus.Open(t.Context(), bus.Config{URL: url, Prefix: prefix, Member: "the-living", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	publish := func(workflow string) {
		e, err := events.New(events.WorkflowProgressed, workflow, "tester", &events.WorkflowProgressedData{Percent: 1, Stage: events.Audit})
		if err == nil {
			_, err = b.Publish(t.Context(), e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// "gone" has one event pending for a member without a lease, one undelivered, and a dead letter.
	publish("wf-1")
	consumed(t, b, "gone")()
	t.Cleanup(consumed(t, b, "living"))
	publish("wf-2")
	publish("wf-3")
	stream := b.Names().Stream(events.WorkflowProgressed, 0)
	if err := b.Client().XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "gone", Consumer: "the-dead", Streams: []string{stream, ">"}, Count: 1}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: b.Names().DeadLetters("gone", 0), Values: []string{"data", "{}"}}).Err(); err != nil {
		t.Fatal(err)
	}

	for _, step := range []struct {
		what       string
		args       []string
		code       int
		says       []string // parts of stdout
		complaints []string // parts of stderr
	}{
		{"unknown", []string{"remove", "gnoe", "--yes"}, exitFailed, nil, []string{`"gnoe"`, "there are: gone, living"}},
		{"dry run", []string{"remove", "gone", "--dry-run"}, exitOK, []string{stream + "  1    1", "all 2 streams", "1 dead letter", "the-dead"}, []string{"nothing was changed"}},
		{"dry run in JSON", []string{"remove", "gone", "--dry-run", "-o", "json"}, exitOK, []string{`"lag":1,"pending":1`, `"members":["the-dead"]`, `"dead_letters":1`}, nil},
		{"with a dead letter", []string{"remove", "gone", "--yes"}, exitFailed, nil, []string{"1 dead letter", "agentctl dlq list gone", "--with-dead-letters"}},
		{"without a person to ask", []string{"remove", "gone", "--with-dead-letters"}, exitUsage, nil, []string{"--yes", "--dry-run"}},
		{"alive", []string{"remove", "living", "--yes"}, exitFailed, nil, []string{"member the-living of living lives"}},
		{"nothing has changed", []string{"--at-once", "-o", "json"}, exitOK, []string{`"group":"gone","members":0,"suspect":0,"lag":1,"pending":1`, `"group":"living","members":1`}, nil},
		{"at last", []string{"remove", "gone", "--yes", "--with-dead-letters"}, exitOK, []string{"removed gone from 2 streams"}, nil},
		{"again", []string{"remove", "gone", "--yes"}, exitFailed, nil, []string{"there are: living"}},
	} {
		stdout, stderr, code := ctl(t, "", append([]string{"groups", "--redis", url}, step.args...)...)
		if code != step.code {
			t.Errorf("%s: exit code %d, want %d: %s%s", step.what, code, step.code, stdout, stderr)
		}
		for _, part := range step.says {
			if !strings.Contains(stdout, part) {
				t.Errorf("%s: %q is not in %q", step.what, part, stdout)
			}
		}
		for _, part := range step.complaints {
			if !strings.Contains(stderr, part) {
				t.Errorf("%s: %q is not in %q", step.what, part, stderr)
			}
		}
	}
	stdout, stderr, code := ctl(t, "", "groups", "--redis", url)
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != exitOK || len(lines) != 2 || strings.Join(strings.Fields(lines[1])[:3], " ") != "living 1 0" {
		t.Errorf("%d, %q, %q; want the living group alone, with one member and no suspect", code, stdout, stderr)
	}
}
