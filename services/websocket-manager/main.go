// Command websocket-manager shows workflows live: to browsers by WebSocket, and a page that uses it.
package main

import "agentbus/pkg/service"

func main() {
	service.Main(service.Spec{
		Name:  "websocket-manager",
		About: "shows workflows live by WebSocket and serves the page",
		Ops:   "127.0.0.1:9081",
	}, run)
}
