// Command testing-agent runs the tests of the sources of a workflow and counts them.
package main

import (
	"agentbus/pkg/service"
)

func main() {
	service.Main(service.Spec{
		Name:  "testing-agent",
		About: "runs the tests of the sources of a workflow and counts them",
		Ops:   "127.0.0.1:9087",
	}, run)
}
