// Command db-writer keeps the durable record: it stores the events of its group in PostgreSQL.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "db-writer",
		About: "stores workflows, their events and stage results as rows in PostgreSQL",
		Ops:   "127.0.0.1:9082",
	}, run)
}
