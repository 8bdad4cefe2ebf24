package live

import "time"

// sequence turns what the log holds into one contiguous run of numbers. It is told the log's content
// above its cursor again and again and says each time how far readers may be told; a number that is
// missing holds everything above it back for patience, then it and all that was missing with it is a
// gap. It reads no clock.
//
// A number is missing because its writer is slower than another's (milliseconds), or because that
// member died and its entries have to move (up to 30 s): a gap told too early would be a hole that
// readers see although nothing was lost.
type sequence struct {
	at       int64 // the cursor: everything up to it was told
	known    int64 // the highest number known to exist when reading began, in the log or not
	patience time.Duration

	since time.Time // when the hole after at was first seen; zero: there is none
	top   int64     // the highest number seen at that time
}

// advance is given the entries above the cursor in ascending order, and returns what readers are told
// now. The cursor moves to the last of it.
func (s *sequence) advance(entries []Item, now time.Time) []Item {
	var out []Item
	for _, e := range entries {
		if e.To <= s.at {
			continue
		}
		if e.From > s.at+1 {
			if s.since.IsZero() {
				s.since, s.top = now, entries[len(entries)-1].To
			}
			if now.Before(s.since.Add(s.patience)) || e.From > s.top {
				if e.From > s.top { // a later hole: its own time begins
					s.since, s.top = now, entries[len(entries)-1].To
				}
				return out
			}
			out = append(out, Item{From: s.at + 1, To: e.From - 1})
		}
		out = append(out, e)
		s.at = e.To
		if s.at >= s.top {
			s.since = time.Time{}
		}
	}
	return out
}

// vanished is called at the log's end. Numbers that exist but that the log does not lead to are either not
// written yet or have expired with it: they are waited for like any other hole.
func (s *sequence) vanished(now time.Time) []Item {
	if s.at >= s.known {
		return nil
	}
	if s.since.IsZero() {
		s.since, s.top = now, s.known
	}
	if now.Before(s.deadline()) {
		return nil
	}
	return s.skip(s.known + 1)
}

// caughtUp says that everything there was when reading began has been told.
func (s *sequence) caughtUp() bool { return s.at >= s.known }

// skip tells readers at once that nothing below floor is kept.
func (s *sequence) skip(floor int64) []Item {
	if floor <= s.at+1 {
		return nil
	}
	gap := Item{From: s.at + 1, To: floor - 1}
	s.at = gap.To
	if s.at >= s.top {
		s.since = time.Time{}
	}
	return []Item{gap}
}

// deadline is when advance has to be called again even if nothing is announced; zero: never.
func (s *sequence) deadline() time.Time {
	if s.since.IsZero() {
		return time.Time{}
	}
	return s.since.Add(s.patience)
}

// filled is a page of the log from the number after at up to to, with gaps for what it does not hold.
// whole says that the page is all there is in that range.
func filled(at, to int64, page []Item, whole bool) []Item {
	out := make([]Item, 0, len(page)+1)
	for _, e := range page {
		if e.From > at+1 {
			out = append(out, Item{From: at + 1, To: e.From - 1})
		}
		out = append(out, e)
		at = e.To
	}
	if whole && at < to {
		out = append(out, Item{From: at + 1, To: to})
	}
	return out
}
