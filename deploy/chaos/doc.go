// Package chaos holds the tests that break things under load and keep books over
// it: every published event and every group's effects go into a ledger, and what
// is promised is that the books balance. Each fault has a test of its own name
// with servers of its own.
//
// The quick half runs with `make test`; CHAOS=full runs all, with more rounds,
// and CHAOS_TABLE names a file for the table of faults (see `make chaos`).
package chaos
