// Package localstack runs the whole system on one machine: a private Redis and PostgreSQL, and every
// service of a folder of binaries as processes. `agentctl up` and `demo` are made of it, and so are the
// end-to-end tests.
//
//	Start   servers ──▶ services, all at once ──▶ each answers /readyz ──▶ running
//	Stop    agents and coordinator ──▶ what they leave on the machine ──▶ consumers have read all,
//	        for a few seconds at most ──▶ consumers ──▶ servers
//
// # What is started
//
// Every program in the folder, except agentctl, is a service: nothing lists them. What ends in "-agent"
// produces events and is drained first, the others consume.
//
// The stack has no table of ports either. Replica 1 listens where the service does by default, further
// replicas (and all of them with FreePorts) on ports the kernel chooses; where that is, the stack reads
// in the service's own log ("listening"). LOG_LEVEL=warn or error would hide that line and is left out. For
// Prometheus it writes what it read into targets.json, which goes when the stack stops.
//
// # Environment of a service
//
// That of the caller, without HTTP_ADDR, OPS_ADDR and BUS_MEMBER, which no two processes can share;
// REDIS_URL and DATABASE_URL of the servers; folders for work, artifacts and releases under the stack's
// own. A variable of one service alone is set with the service's name in front:
// DB_WRITER_OPS_ADDR=127.0.0.1:19082 sets OPS_ADDR of db-writer's replica 1, and
// TESTING_AGENT_TOOL_COMMAND sets TOOL_COMMAND of every testing-agent.
//
// # What is left behind
//
// Nothing that runs. All processes die with the one that called Start, also when it is killed. The data
// stays in Dir, so that the next start goes on with it; one stack at a time uses a folder.
package localstack
