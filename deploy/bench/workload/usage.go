package workload

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a run took, per event.
type Usage struct {
	ClientCPU float64 // microseconds of this process
	ServerCPU float64 // microseconds of the server's
	Bytes     float64 // allocated by this process
	Allocs    float64
}

// meter reads what has been used so far.
type meter struct {
	server int // process id; 0: none
	client time.Duration
	served time.Duration
	memory runtime.MemStats
}

func startMeter(server int) *meter {
	m := &meter{server: server, client: selfCPU(), served: CPUOf(server)}
	runtime.ReadMemStats(&m.memory)
	return m
}

func (m *meter) since(n int) Usage {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }
	return Usage{
		ClientCPU: per(selfCPU() - m.client), ServerCPU: per(CPUOf(m.server) - m.served),
		Bytes: float64(now.TotalAlloc-m.memory.TotalAlloc) / float64(n), Allocs: float64(now.Mallocs-m.memory.Mallocs) / float64(n),
	}
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// CPUOf is the processor time of a process, to a hundredth of a second; 0 where there is no /proc.
func CPUOf(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// pid (name) state ...; the name may hold anything. utime and stime are fields 14 and 15.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, on every Linux
	return time.Duration(ticks) * time.Second / perSecond
}

// PeakMiB is the most memory that was resident, in MiB.
func PeakMiB(pid int) float64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // 0 where there is no /proc
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}
