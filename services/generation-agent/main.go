// Command generation-agent renders projects from templates and hands on their sources.
package main

import (
	"agentbus/pkg/service"
)

func main() {
	service.Main(service.Spec{
		Name:  "generation-agent",
		About: "renders projects from templates and hands on their sources",
		Ops:   "127.0.0.1:9085",
	}, run)
}
