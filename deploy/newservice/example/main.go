// Command example-service logs what happens to workflows.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "example-service",
		About: "logs what happens to workflows",
		Ops:   "127.0.0.1:9079",
	}, run)
}
