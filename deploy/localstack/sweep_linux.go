package localstack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sweepGrace is how long what is found may take to end by itself.
const sweepGrace = 2 * time.Second

// sweep ends what killed agents left: a release whose program is in the folder, or a tool at work in it.
// Agents that drain leave nothing.
func (s *Stack) sweep() {
	var places []string
	for _, name := range []string{"deploy", workDir} {
		places = append(places, filepath.Join(s.opts.Dir, name)+"/")
	}
	inside := func(pid string) bool {
		for _, link := range []string{"exe", "cwd"} {
			target, err := os.Readlink("/proc/" + pid + "/" + link)
			for _, place := range places {
				if err == nil && strings.HasPrefix(target, place) {
					return true
				}
			}
		}
		return false
	}
	sig := syscall.SIGTERM
	for end := time.Now().Add(2 * sweepGrace); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if time.Until(end) < sweepGrace {
			sig = syscall.SIGKILL
		}
		found := false
		pids, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
		for _, dir := range pids {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if err == nil && pid != os.Getpid() && inside(filepath.Base(dir)) {
				found = true
				_ = syscall.Kill(pid, sig)
			}
		}
		if !found {
			return
		}
	}
}
