package consumer

import (
	"errors"
	"strconv"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// returned reads what an entry of the group's own stream says besides the event: where
// it stood first, and what became of it there. A replayed dead letter begins anew; what
// was split off goes on with its attempts, or is to become the dead letter that the
// outcome says.
func returned(d *delivery, en wire.Entry) (verdict outcome, final bool) {
	if from := en.Field("stream"); from != "" {
		d.origin = wire.EntryKey{Stream: from, ID: en.Field("entry")}
	}
	begun, _ := strconv.Atoi(en.Field("begun")) // none in a replayed dead letter
	if en.Field("replayed_at") == "" && en.Field("class") != "" {
		d.begun = begun
		return outcome{fate: dead, class: en.Field("class"), cause: errors.New(en.Field("error")), unasked: true}, true
	}
	d.begun = max(d.begun, begun) // once an attempt is made here, the pending list has them all
	if wait, err := strconv.Atoi(en.Field("wait")); err == nil && !en.Recovered {
		d.wait = time.Duration(wait) * time.Millisecond
	}
	return outcome{}, false
}
