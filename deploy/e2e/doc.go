// Package e2e holds the end-to-end tests: the built binaries as processes, with servers of their own,
// seen from outside only.
//
// The binaries are those of AGENTBUS_BIN; unset, the tests build them. One stack with a process of each
// service serves most tests, which therefore name their workflows apart and put back what they stop;
// it is started by the first that asks.
package e2e
