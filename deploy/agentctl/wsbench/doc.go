// Package wsbench measures the live view: a websocket-manager as a process of its own, its Redis, and
// clients that are real connections, all on this machine.
//
//	idle   so many connections, each subscribed to a workflow where nothing happens: memory of each
//	busy   so many clients of 100 workflows at a rate of events: time from the event's timestamp, taken
//	       just before it is published, to its frame in the client
//	deaf   200 clients, then the same with 20 of them reading nothing: what the others notice of it
package wsbench
