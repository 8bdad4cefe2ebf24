package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"agentbus/pkg/events"
)

// Difference tells which events are missing from ids, stand there twice, or were never published; nil
// when each was recorded once.
func Difference(published []events.Event, ids []string) error {
	count := map[string]int{}
	for _, id := range ids {
		count[id]++
	}
	var wrong []string
	for _, e := range published {
		switch n := count[e.ID]; {
		case n == 0:
			wrong = append(wrong, fmt.Sprintf("%s %s is missing", e.Type, e.ID))
		case n > 1:
			wrong = append(wrong, fmt.Sprintf("%s %s is there %d times", e.Type, e.ID, n))
		}
		delete(count, e.ID)
	}
	strangers := make([]string, 0, len(count))
	for id := range count {
		strangers = append(strangers, fmt.Sprintf("event %s was not published", id))
	}
	slices.Sort(strangers)
	wrong = append(wrong, strangers...)
	if len(wrong) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if len(wrong) > shown {
		more = fmt.Sprintf(" and %d more", len(wrong)-shown)
	}
	return errors.New(strings.Join(wrong[:min(len(wrong), shown)], ", ") + more)
}

// IDs are the events' ids.
func IDs(list []events.Event) []string {
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	return ids
}
