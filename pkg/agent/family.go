package agent

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// markName is the variable by which a task's processes are known, also those that
// left the process group: children inherit it.
const markName = "AGENTBUS_TASK"

// mark names the task and the agent that runs it, as pid and start time, so that
// the next agent on the machine can tell what a killed one left behind.
func mark(task string) string {
	self, _ := Identify(os.Getpid())
	return fmt.Sprintf("%s:%d:%d", task, self.PID, self.Start)
}

// usage is what a family of processes uses at one moment.
type usage struct {
	memory    int64 // bytes resident
	processes int
}

// family is everything that one command started: its process group, what carries
// the mark, and the children of either. Not safe for concurrent use.
type family struct {
	group int
	mark  string
	seen  map[ProcessID]bool // whether it belongs; spares reading environments again
}

func newFamily(group int, mark string) *family {
	return &family{group: group, mark: mark, seen: map[ProcessID]bool{}}
}

// members lists the living ones.
func (f *family) members() []process {
	var (
		list []process
		all  = processes()
		pids = map[int]bool{}
		seen = make(map[ProcessID]bool, len(all))
	)
	for _, p := range all {
		id := p.id()
		belongs, known := f.seen[id]
		if !belongs && (p.group == f.group || !known && environ(p.pid, markName) == f.mark) {
			belongs = true
		}
		seen[id] = belongs
		pids[p.pid] = belongs
	}
	// A child may have cleared its environment: it belongs by its parent. Parents may
	// stand after their children in the table, so look until nothing is found.
	for more := true; more; {
		more = false
		for _, p := range all {
			if !pids[p.pid] && pids[p.parent] {
				pids[p.pid], more = true, true
				seen[p.id()] = true
			}
		}
	}
	f.seen = seen
	for _, p := range all {
		if pids[p.pid] && !p.zombie {
			list = append(list, p)
		}
	}
	return list
}

func (f *family) usage() usage {
	var u usage
	for _, p := range f.members() {
		u.memory += p.memory
		u.processes++
	}
	return u
}

// signal sends to every member; those that left the group get it one by one.
func (f *family) signal(sig syscall.Signal) (alive int) {
	_ = syscall.Kill(-f.group, sig) // ESRCH: the group is empty, which is what we want
	members := f.members()
	for _, p := range members {
		if p.group != f.group {
			_ = syscall.Kill(p.pid, sig)
		}
	}
	return len(members)
}

// kill repeats SIGKILL until nobody is left, for at most a second: a member may
// fork while the table is read, and a process in a system call dies late.
func (f *family) kill() {
	for deadline := time.Now().Add(time.Second); f.signal(syscall.SIGKILL) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// KillOrphans ends what tasks of agents that no longer live left running on this
// machine, and returns how many processes that were. An agent calls it at its start.
func KillOrphans(ctx context.Context) int {
	killed := 0
	for ctx.Err() == nil {
		found := 0
		for _, p := range processes() {
			if m := environ(p.pid, markName); m != "" && !p.zombie && !agentLives(m) {
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
				found++
			}
		}
		killed = max(killed, found)
		if found == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return killed
}

func agentLives(mark string) bool {
	parts := strings.Split(mark, ":")
	if len(parts) < 3 {
		return true // not ours
	}
	pid, err1 := strconv.Atoi(parts[len(parts)-2])
	start, err2 := strconv.ParseUint(parts[len(parts)-1], 10, 64)
	if err1 != nil || err2 != nil {
		return true
	}
	return ProcessID{pid, start}.Alive()
}
