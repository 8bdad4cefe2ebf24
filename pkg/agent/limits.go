package agent

// Limits bound what one task's processes use together. A limit of 0 is none.
type Limits struct {
	Memory    int64 // bytes resident, over all its processes
	Processes int   // at once
	Output    int64 // bytes on stdout and stderr together, of one command
}

// exceeded is the failure for the first limit that u is over, nil if none is.
func (l Limits) exceeded(u usage) *Failure {
	switch {
	case l.Memory > 0 && u.memory > l.Memory:
		return failf(CodeMemoryLimit, "the tool used %d MiB of memory in %d processes; the limit is %d MiB: use less, or raise TOOL_MEMORY (bytes)",
			u.memory>>20, u.processes, l.Memory>>20)
	case l.Processes > 0 && u.processes > l.Processes:
		return failf(CodeProcessLimit, "the tool had %d processes at once; the limit is %d: start fewer, or raise TOOL_PROCESSES",
			u.processes, l.Processes)
	}
	return nil
}

func (l Limits) outputExceeded() *Failure {
	return failf(CodeOutputLimit, "the tool printed more than %d bytes, the limit; print less, write to a file, or raise TOOL_OUTPUT (bytes)", l.Output)
}
