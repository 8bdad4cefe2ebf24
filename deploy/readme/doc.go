// Package readme holds every Markdown file of the repository to what is there: the tests, files, links, make
// targets, environment variables and commands that it names must exist. A miss is printed as file:line and name.
//
// The commands of agentctl are those of the binary in AGENTBUS_BIN; unset, the test builds one.
package readme
