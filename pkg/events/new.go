package events

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// New makes an event that happens now. The payload decides the type's data and
// must belong to typ; it is validated, so that what is wrong shows here and not
// in four consumers. Times are kept to the microsecond.
func New(typ Type, workflowID, source string, payload Payload) (Event, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fieldErrorf("data", "cannot be written as JSON: %v", err)
	}
	e := Event{
		ID:          uuid.NewString(),
		Type:        typ,
		WorkflowID:  workflowID,
		Timestamp:   time.Now().UTC().Truncate(time.Microsecond),
		Data:        data,
		SourceAgent: source,
	}
	if err := e.Validate(); err != nil {
		return Event{}, err
	}
	return e, checkPayload(typ, payload)
}
