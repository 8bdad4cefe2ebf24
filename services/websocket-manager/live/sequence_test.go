package live

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var zero = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func entries(seqs ...int64) []Item {
	out := make([]Item, len(seqs))
	for i, s := range seqs {
		out[i] = Item{From: s, To: s, Frame: []byte("x")}
	}
	return out
}

// told writes items as "1 2 3-4! 5": a gap has an exclamation mark.
func told(items []Item) string {
	words := make([]string, len(items))
	for i, it := range items {
		words[i] = fmt.Sprint(it.From)
		if it.Gap() {
			words[i] = fmt.Sprintf("%d-%d!", it.From, it.To)
		}
	}
	return strings.Join(words, " ")
}

func TestSequence(t *testing.T) {
	t.Parallel()
	type step struct {
		after time.Duration // since the start
		log   []int64       // above the cursor
		want  string
	}
	for name, c := range map[string]struct {
		at    int64
		steps []step
	}{
		"in order":      {0, []step{{0, []int64{1, 2, 3}, "1 2 3"}, {0, []int64{4}, "4"}}},
		"from a cursor": {7, []step{{0, []int64{8, 9}, "8 9"}}},
		"known ones":    {2, []step{{0, []int64{1, 2, 3}, "3"}, {0, nil, ""}}},
		"out of order": {0, []step{
			{0, []int64{2}, ""}, {time.Second, []int64{1, 2}, "1 2"}, {2 * time.Second, []int64{3}, "3"}}},
		"never comes": {0, []step{
			{0, []int64{1, 4}, "1"}, {9 * time.Second, []int64{4, 5}, ""}, {10 * time.Second, []int64{4, 5}, "2-3! 4 5"}}},
		"at the start": {0, []step{{0, []int64{5}, ""}, {10 * time.Second, []int64{5}, "1-4! 5"}}},
		"two holes seen together end together": {0, []step{
			{0, []int64{1, 3, 5}, "1"}, {10 * time.Second, []int64{3, 5}, "2-2! 3 4-4! 5"}}},
		"a later hole has its own time": {0, []step{
			{0, []int64{2}, ""}, {8 * time.Second, []int64{2, 4}, ""}, {10 * time.Second, []int64{2, 4}, "1-1! 2"},
			{15 * time.Second, []int64{4}, ""}, {20 * time.Second, []int64{4}, "3-3! 4"}}},
		"a hole that is filled leaves no time behind": {0, []step{
			{0, []int64{2}, ""}, {5 * time.Second, []int64{1, 2}, "1 2"}, {20 * time.Second, []int64{4}, ""},
			{29 * time.Second, []int64{4}, ""}, {30 * time.Second, []int64{4}, "3-3! 4"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sequence{at: c.at, patience: 10 * time.Second}
			for i, st := range c.steps {
				if got := told(s.advance(entries(st.log...), zero.Add(st.after))); got != st.want {
					t.Fatalf("step %d told %q, want %q", i, got, st.want)
				}
			}
		})
	}
}

// TestSequenceIsExact lets entries arrive in random order: whatever the order, every number is told once,
// in order, and a gap covers exactly what never came.
func TestSequenceIsExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		const n = 60
		var arrive []int64
		lost := map[int64]bool{}
		for i := int64(1); i <= n; i++ {
			if i < n && random.IntN(10) == 0 {
				lost[i] = true
			} else {
				arrive = append(arrive, i)
			}
		}
		random.Shuffle(len(arrive), func(a, b int) { arrive[a], arrive[b] = arrive[b], arrive[a] })
		s := sequence{patience: 10 * time.Second}
		var all []Item
		log := map[int64]bool{}
		look := func(now time.Time) {
			var above []int64
			for i := s.at + 1; i <= n; i++ {
				if log[i] {
					above = append(above, i)
				}
			}
			all = append(all, s.advance(entries(above...), now)...)
		}
		now := zero
		for _, seq := range arrive {
			log[seq] = true
			now = now.Add(time.Millisecond)
			look(now)
		}
		for !s.deadline().IsZero() {
			now = s.deadline()
			look(now)
		}
		at := int64(0)
		for _, it := range all {
			if it.From != at+1 || it.To < it.From {
				t.Fatalf("seed %d: after %d came %s", seed, at, told([]Item{it}))
			}
			for i := it.From; i <= it.To; i++ {
				if it.Gap() != lost[i] {
					t.Fatalf("seed %d: number %d, lost %v, gap %v", seed, i, lost[i], it.Gap())
				}
			}
			at = it.To
		}
		if at != n {
			t.Fatalf("seed %d: ended at %d, want %d", seed, at, n)
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	s := sequence{at: 3, patience: time.Second}
	if got := told(s.skip(10)) + "|" + told(s.skip(10)) + "|" + told(s.advance(entries(10), zero)); got != "4-9!||10" {
		t.Error(got)
	}
}

func TestFilled(t *testing.T) {
	t.Parallel()
	for want, got := range map[string][]Item{
		"3 4":         filled(2, 4, entries(3, 4), true),
		"1-2! 3 4-6!": filled(0, 6, entries(3), true),
		"1-2! 3":      filled(0, 6, entries(3), false),
		"5-9!":        filled(4, 9, nil, true),
		"":            filled(4, 4, nil, true),
	} {
		if told(got) != want {
			t.Errorf("got %q, want %q", told(got), want)
		}
	}
}
