package main

import (
	"fmt"

	"agentbus/deploy/bench/workload"
)

// written is a load of the bus, and how many of its events share an entry at most.
type written struct {
	rate, batch, perEntry int // rate 0: as fast as it goes
}

func (w written) load() string {
	if w.rate > 0 {
		return fmt.Sprintf("%d,000/s", w.rate/1000) + eachCall(w.batch)
	}
	return "as fast as it goes" + eachCall(w.batch)
}

// calls is the load of all that goes as fast as it can, by the events of a call.
func calls(batch int) string {
	return fmt.Sprintf("%d publishers", workload.Publishers) + eachCall(batch)
}

func eachCall(batch int) string {
	if batch == 1 {
		return ""
	}
	return fmt.Sprintf(", %d events a call", batch)
}
