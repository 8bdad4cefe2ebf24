package agent

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// ProcessID names a process for ever: a pid alone is used again.
type ProcessID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
}

// Identify names the process that has the pid now.
func Identify(pid int) (ProcessID, bool) {
	p, ok := readProcess(pid)
	return p.id(), ok
}

// Alive reports whether it still runs; a zombie does not.
func (id ProcessID) Alive() bool {
	p, ok := readProcess(id.PID)
	return ok && p.start == id.Start && !p.zombie
}

// process is one line of the process table, from /proc/<pid>/stat.
type process struct {
	pid, parent, group int
	zombie             bool
	start              uint64 // clock ticks after boot
	memory             int64  // bytes resident
}

func (p process) id() ProcessID { return ProcessID{p.pid, p.start} }

// processes reads the process table. Processes that end meanwhile are left out.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var list []process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(pid); ok {
				list = append(list, p)
			}
		}
	}
	return list
}

func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	return parseStat(pid, stat)
}

// parseStat reads proc(5)'s stat. The command's name stands in brackets and may
// itself hold spaces and brackets: the fields begin after the last one.
func parseStat(pid int, stat []byte) (process, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return process{}, false
	}
	f := strings.Fields(string(stat[end+1:])) // f[0] is field 3 of the manual
	if len(f) < 22 {
		return process{}, false
	}
	number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
	return process{
		pid: pid, zombie: f[0] == "Z" || f[0] == "X",
		parent: int(number(1)), group: int(number(2)),
		start: uint64(number(19)), memory: number(21) * int64(os.Getpagesize()),
	}, true
}

// environ reads one variable of a process's environment as it was when its
// program began; "" when it has none, has ended, or is another user's.
func environ(pid int, name string) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value)
		}
	}
	return ""
}
