package main

// A workflow's life. Every arrow is one commit: the new state and the events that
// tell of it, both or neither, on the revision it was decided on. Two coordinators
// that decide the same transition therefore do it once; the other one loads the
// state again and finds nothing to do.
//
//	         create                      last stage succeeded
//	(none) ─────────▶ running ─────────────────────────────────▶ completed
//	                  │  │  ▲ stage succeeded, next is asked
//	                  │  │  └─┘
//	                  │  └── failed for good, or attempts used up ──▶ failed
//	                  └───── the user cancels ─────────────────────▶ cancelled
//
// A running stage is in one of these phases, each with a deadline that is kept in
// Redis and so survives the coordinator:
//
//	asked ──accepted──▶ working ──failed, may be retried──▶ resting ──▶ asked again
//	  │ nobody accepts     │ silent for too long, or over its time
//	  ▼                    └──▶ resting, or the workflow failed
//	is any agent alive? yes: go on waiting. no: the workflow failed
