package consumer

// IdleChecks is for tests that wait as long as members do.
const IdleChecks = idleChecks
