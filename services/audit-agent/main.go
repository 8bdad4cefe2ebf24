// Command audit-agent looks for secrets and suspicious code in the sources of a workflow.
package main

import (
	"agentbus/pkg/service"
)

func main() {
	service.Main(service.Spec{
		Name:  "audit-agent",
		About: "looks for secrets and suspicious code in the sources of a workflow",
		Ops:   "127.0.0.1:9086",
	}, run)
}
