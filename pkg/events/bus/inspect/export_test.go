package inspect

// The two steps of a removal, for tests that act between them.
var (
	AwaitDead  = (*Inspector).awaitDead
	RemoveFrom = (*Inspector).removeFrom
)
