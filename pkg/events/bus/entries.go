package bus

import (
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// layout says which entries the events of an admission are added in, and by which script.
type layout func(wire.Admission, []item) wire.Admission

// entryEach has each event added in an entry of its own: data is its JSON object.
func entryEach(names events.Naming) layout {
	return func(a wire.Admission, items []item) wire.Admission {
		a.Script = wire.PublishScript
		a.Streams, a.Data = make([]string, len(items)), make([]any, len(items))
		for i, it := range items {
			a.Streams[i], a.Data[i] = names.Stream(it.typ, it.part), it.data
		}
		return a
	}
}
