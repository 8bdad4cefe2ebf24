package events

import (
	"fmt"
	"strings"
)

// FieldError says which field of an event, payload or request is wrong and what
// would be right. [Decode], [Event.Validate] and [PayloadOf] return it; whoever
// receives it should show it to the sender, since trying again cannot help.
type FieldError struct {
	Field   string // dotted path from the top, e.g. "data.percent"; "" is the whole
	Problem string // what is wrong and what would be right, without the field
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return "event: " + e.Problem
	}
	return "field " + e.Field + ": " + e.Problem
}

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// clip shortens a value that is quoted in an error: it may be hostile and large.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
