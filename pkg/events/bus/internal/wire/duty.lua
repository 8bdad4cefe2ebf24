#!lua flags=allow-oom
-- Takes or prolongs the lease of a duty that one process does for all.
--
-- KEYS  1 the lease
-- ARGV  1 caller   2 life of the lease, ms
-- Returns 1, or 0 when another holds it
--
-- Atomic because: a lease that another has taken meanwhile must not be prolonged.
-- Runs when Redis is out of memory too: trimming is what frees some.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
