package bus

// Receipt says where an event stands. A Duplicate was added by an earlier call.
type Receipt struct {
	Stream    string
	EntryID   string // "<ms>-<n>", by the Redis server's clock
	Seq       int64  // number in its workflow, from 1
	Duplicate bool
}
