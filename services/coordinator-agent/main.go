// Command coordinator-agent owns the workflows: users create them over HTTP, it
// drives their stages by asking the agents, and it announces every change.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "coordinator-agent",
		About: "takes workflows over HTTP and drives their stages",
		Ops:   "127.0.0.1:9080",
	}, run)
}
