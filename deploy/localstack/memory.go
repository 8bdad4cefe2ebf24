package localstack

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what all running services hold resident together, in bytes. The servers are not counted.
func (s *Stack) Memory() (int64, error) {
	var sum int64
	for _, p := range s.processes {
		if !p.Running() {
			continue
		}
		resident, err := residentMemory(p.PID())
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", p.Name, err)
		}
		sum += resident
	}
	return sum, nil
}

func residentMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if kib, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
}
