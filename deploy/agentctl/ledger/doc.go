// Package ledger keeps the books over a run with faults: producers write down
// what they tried to publish and how it ended, every group's effects and dead
// letters are counted, and the report compares the two, naming each id.
//
// Terms, per group:
//
//	lost        acknowledged to the producer, but neither an effect nor a dead letter
//	recovered   the producer heard no outcome, and it had its effect all the same
//	duplicated  more than one effect
//	unexpected  an effect of what nobody published, or of what was refused
//
// An event whose outcome is unknown may have its effect or not: both are right.
package ledger
