package events

import (
	"hash/fnv"
	"strconv"
)

// Naming spells every key that agentbus keeps in Redis; nothing else does. The
// zero value gives the plain names of a standalone Redis:
//
//	events:workflow.started   workflow:wf-1   dlq:db_writers
//
// With Partitions > 0 (Redis Cluster) each name ends in its partition as a hash
// tag, so that all of a workflow shares a slot and one script can touch it:
//
//	events:workflow.started:{3}   workflow:wf-1:{3}   dlq:db_writers:{3}
//
// Methods that take a workflow id choose its partition; the others take the
// partition, 0 to Parts()-1.
type Naming struct {
	Prefix     string // put before every name, e.g. "team-a:"; lets systems share a Redis
	Partitions int    // 0: plain names; the same number in every process, fixed for the life of the data
}

// Parts is how many partitions there are to read: 1 when unpartitioned.
func (n Naming) Parts() int { return max(n.Partitions, 1) }

// Partition is the partition of a workflow: FNV-1a of its id modulo Partitions.
func (n Naming) Partition(workflowID string) int {
	if n.Partitions <= 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(workflowID))
	return int(h.Sum32() % uint32(n.Partitions))
}

func (n Naming) key(name string, part int) string {
	if n.Partitions <= 0 {
		return n.Prefix + name
	}
	return n.Prefix + name + ":{" + strconv.Itoa(part) + "}"
}

// Stream is the stream of a type: events:<type>.
func (n Naming) Stream(t Type, part int) string { return n.key("events:"+string(t), part) }

// Seen is the hash of the event ids admitted lately: id -> "<seq> <entry id>".
func (n Naming) Seen(part int) string { return n.key("seen", part) }

// SeenBefore is what [Naming.Seen] was one dedup window ago.
func (n Naming) SeenBefore(part int) string { return n.key("seen-before", part) }

// Seqs is the hash of the numbers that workflows have come to: workflow -> seq of its
// latest event.
func (n Naming) Seqs(part int) string { return n.key("seqs", part) }

// SeqsBefore is what [Naming.Seqs] was a month ago; it counts where that has nothing.
func (n Naming) SeqsBefore(part int) string { return n.key("seqs-before", part) }

// Adopted is the hash of entries others added without a seq: entry id -> seq.
func (n Naming) Adopted(t Type, part int) string { return n.key("adopted:"+string(t), part) }

// DeadLetters is the stream of a group's dead letters.
func (n Naming) DeadLetters(group string, part int) string { return n.key("dlq:"+group, part) }

// Replays is the stream by which events come back to their group alone: replayed dead
// letters, and those that shared an entry which was taken apart.
func (n Naming) Replays(group string, part int) string { return n.key("replay:"+group, part) }

// Members is the hash of a group's members and their leases.
func (n Naming) Members(group string, part int) string { return n.key("members:"+group, part) }

// Groups is the hash of the groups that want to see every entry: group -> types.
func (n Naming) Groups(part int) string { return n.key("groups", part) }

// Lease is held by the one process that does the duty.
func (n Naming) Lease(duty string) string { return n.key("lease:"+duty, 0) }

// Workflow is the coordinator's state of a workflow.
func (n Naming) Workflow(workflowID string) string {
	return n.key("workflow:"+workflowID, n.Partition(workflowID))
}

// Workflows indexes workflow ids by the time they were created.
func (n Naming) Workflows(part int) string { return n.key("workflows", part) }

// TenantWorkflows indexes a tenant's workflow ids by the time they were created.
func (n Naming) TenantWorkflows(tenant string, part int) string {
	return n.key("workflows:"+tenant, part)
}

// Deadlines indexes workflow ids by the time their next deadline falls due.
func (n Naming) Deadlines(part int) string { return n.key("deadlines", part) }

// Tasks indexes workflow ids by what their stage's agent has to do.
func (n Naming) Tasks(part int) string { return n.key("deadlines:tasks", part) }

// Task is an agent's record of the stage it does for a workflow.
func (n Naming) Task(workflowID string, s Stage) string {
	return n.key("task:"+workflowID+":"+string(s), n.Partition(workflowID))
}

// Ticket is what a ticket of the live view stands for, by the digest of the ticket.
func (n Naming) Ticket(digest string) string { return n.key("ticket:"+digest, n.Partition(digest)) }

// LiveLog is a workflow's short ordered log for the live view: events by seq.
func (n Naming) LiveLog(workflowID string) string {
	return n.key("live:"+workflowID, n.Partition(workflowID))
}

// LiveChannel announces that a workflow's log has grown.
func (n Naming) LiveChannel(workflowID string) string { return n.Prefix + "live-changed:" + workflowID }

// LiveList indexes the workflows of the live view by their latest change.
func (n Naming) LiveList(part int) string { return n.key("live-workflows", part) }

// LiveRow is the hash of a workflow's row in the live view's list.
func (n Naming) LiveRow(workflowID string) string {
	return n.key("live-row:"+workflowID, n.Partition(workflowID))
}

// LiveListChannel announces that a row of the live view's list has changed.
func (n Naming) LiveListChannel() string { return n.Prefix + "live-list-changed" }
