// Package browser holds the tests of the live view's page in a real browser: headless Chromium on a stack
// of the built binaries, with servers of its own.
//
// The binaries are those of AGENTBUS_BIN; unset, the tests build them. Each test has a tab of its own,
// and every tab is held to the same at its end: no dialog, no uncaught error, nothing that the page's
// Content-Security-Policy had to refuse. With SCREENSHOTS=<folder>, a picture of every view is left
// there: `make screenshots`.
package browser
