// Command log-aggregator writes one JSON line per event, with secrets redacted.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "log-aggregator",
		About: "writes every event as one JSON line on stdout, and into a rotated file if asked, with secrets redacted",
		Ops:   "127.0.0.1:9084",
	}, run)
}
