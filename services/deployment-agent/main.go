// Command deployment-agent releases the sources of a workflow as a running service and confirms its health.
package main

import (
	"agentbus/pkg/service"
)

func main() {
	service.Main(service.Spec{
		Name:  "deployment-agent",
		About: "releases the sources of a workflow as a running service and confirms its health",
		Ops:   "127.0.0.1:9088",
	}, run)
}
