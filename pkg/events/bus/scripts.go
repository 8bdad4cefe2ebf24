package bus

import (
	_ "embed" // the scripts

	"github.com/redis/go-redis/v9"
)

//go:embed lua/memory.lua
var memoryLua string

//go:embed lua/publish.lua
var publishLua string

//go:embed lua/adopt.lua
var adoptLua string

//go:embed lua/join.lua
var joinLua string

//go:embed lua/duty.lua
var dutyLua string

//go:embed lua/claim.lua
var claimLua string

//go:embed lua/beat.lua
var beatLua string

//go:embed lua/attempt.lua
var attemptLua string

//go:embed lua/apart.lua
var apartLua string

//go:embed lua/deadletter.lua
var deadletterLua string

//go:embed lua/remove.lua
var removeLua string

//go:embed lua/replay.lua
var replayLua string

//go:embed lua/trim.lua
var trimLua string

// Each script's contract stands at its head.
var (
	publishScript    = redis.NewScript(memoryLua + publishLua)
	adoptScript      = redis.NewScript("#!lua flags=allow-oom\n" + memoryLua + adoptLua)
	apartScript      = redis.NewScript(apartLua)
	joinScript       = redis.NewScript(joinLua)
	dutyScript       = redis.NewScript(dutyLua)
	claimScript      = redis.NewScript(claimLua)
	beatScript       = redis.NewScript(beatLua)
	attemptScript    = redis.NewScript(attemptLua)
	deadletterScript = redis.NewScript(deadletterLua)
	removeScript     = redis.NewScript(removeLua)
	replayScript     = redis.NewScript(replayLua)
	trimScript       = redis.NewScript(trimLua)
)
