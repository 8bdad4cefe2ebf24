// Package inspect is the operator's side of the bus: how far each group is and who
// reads for it, its dead letters, replaying and dropping them, and the removal of a
// group that nobody reads for any more.
package inspect
