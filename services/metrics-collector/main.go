// Command metrics-collector turns events into Prometheus metrics and shows how far the groups are.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "metrics-collector",
		About: "turns events into Prometheus metrics and shows how far each group is",
		Ops:   "127.0.0.1:9083",
	}, run)
}
