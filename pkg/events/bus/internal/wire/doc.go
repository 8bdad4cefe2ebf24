// Package wire is the lowest part of the bus: the connection to Redis, what an
// entry of a stream is, and a typed call for each Lua script. It decides nothing;
// the publishing side (package bus), the member of a group (consumer), the
// housekeeping (janitor) and the operator's side (inspect) do, and none of them
// spells a script's KEYS and ARGV.
package wire
