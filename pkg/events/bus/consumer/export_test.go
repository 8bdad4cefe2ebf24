package consumer

// UntouchedLooks is for tests that wait as long as members do.
const UntouchedLooks = untouchedLooks
