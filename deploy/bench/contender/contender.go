// Package contender moves the same events by different means: agentbus, bare and naive programs over
// go-redis, Watermill and NATS JetStream.
package contender

import (
	"fmt"

	"agentbus/deploy/bench/workload"
)

// Contender takes events and has every group told of each.
type Contender interface {
	workload.Target
	Close() error
}

// Setup is where a contender runs and whom it tells.
type Setup struct {
	URL     string // of its server
	Groups  int
	Handled func(group, n int)
}

// Groups are the tracker's, for so many.
func Groups(n int) []workload.Group {
	var list []workload.Group
	for g := range n {
		list = append(list, workload.Group{Name: groupName(g)})
	}
	return list
}

func groupName(g int) string { return fmt.Sprintf("bench_%d", g) }
