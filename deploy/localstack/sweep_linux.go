package localstack

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sweepGrace is how long what is found may take to end by itself.
const sweepGrace = 2 * time.Second

// taskMark stands in the environment of all that an agent's tool starts.
const taskMark = "AGENTBUS_TASK="

// sweep ends what killed agents left: a release whose program is in the folder, or a tool at work in it.
// Agents that drain leave nothing.
func (s *Stack) sweep() {
	var places []string
	for _, name := range []string{"deploy", workDir} {
		places = append(places, filepath.Join(s.opts.Dir, name)+"/")
	}
	within := func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && slices.ContainsFunc(places, func(place string) bool { return strings.HasPrefix(target, place) })
	}
	// Where it stands alone does not tell: a person's shell may be looking around in there.
	inside := func(dir string) bool {
		if within(dir + "/exe") {
			return true
		}
		environ, err := os.ReadFile(dir + "/environ")
		return err == nil && bytes.Contains(environ, []byte(taskMark)) && within(dir+"/cwd")
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
			if err == nil && pid != os.Getpid() && inside(dir) {
				found = true
				_ = syscall.Kill(pid, sig)
			}
		}
		if !found {
			return
		}
	}
}
