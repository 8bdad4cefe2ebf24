// Package agent is what the four stage agents share.
//
// A stage's work is done by a [Tool]: the agent's built-in one, or a command of
// the user's ([Command], TOOL_COMMAND). [Bench] is where a tool runs: it makes
// the workspace, fetches the inputs, runs the tool under a time limit, stores
// what it made and clears the workspace away again.
//
//	request ──▶ Bench.Do ──▶ workspace ──▶ inputs fetched, digests checked
//	                                          │
//	                     Tool.Run ◀───────────┘
//	                        │ nil           stored artifacts, summary
//	                        │ *Failure      the same, and why the answer is no
//	                        └ other error   the agent's own trouble: try again
//
// # What a process may do
//
// Everything a tool starts goes through [Runner]: the children get a process
// group and an environment of their own (an allow-list, so that REDIS_URL and
// its like do not leak), and a watchdog looks at /proc every 100 ms for their
// memory and number. When the task ends, is cancelled, or goes over a limit, the
// group gets SIGTERM, 500 ms later SIGKILL, and so does everything that left the
// group: it is found by the variable AGENTBUS_TASK, which children inherit, and
// by its ancestry. A tool therefore cannot leave a daemon behind; a tool that
// deploys hands its service to a supervisor that is not its child.
//
// # The contract of a command
//
// It runs in the workspace, an empty directory of its own but for what is named
// here. It reads
//
//	stdin and task.json    {"workflow_id","stage","correlation_id","attempt",
//	                        "parameters":{},"inputs":[{"name","path","media_type","sha256"}]}
//	inputs/<name>          each input, a directory where one was handed on
//
// and answers with one JSON object, in the file result.json or, where there is
// none, as the last line of stdout:
//
//	{"summary":{},                         figures, an object, optional
//	 "artifacts":[{"name","path",          path inside the workspace; a directory
//	               "media_type"}],         is packed
//	 "failure":{"code","reason",           present when the answer is no
//	            "retryable"}}
//
// A line {"progress":40,"message":"..."} on stdout or stderr is reported at once.
// An exit status other than 0 without a failure in the result is the failure
// tool_failed with the end of stderr as its reason; status 75 (EX_TEMPFAIL) makes
// it one that is worth another try.
package agent
