#!lua flags=allow-oom
-- Raises a member's lease.
--
-- KEYS  1 the group's members
-- ARGV  1 member   2 its incarnation (chosen when it joined)   3 the counter to write
-- Returns 1, or 0 when the lease is gone or another incarnation's: the member was
--       taken for dead and its entries have moved
--
-- Atomic because: a member that wakes up must not bring a lease back that a claim
-- has just removed.
-- Runs when Redis is out of memory too, where a plain HSET is refused: a member
-- must not be taken for dead because memory is short.
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if not lease or string.sub(lease, 1, #ARGV[2] + 1) ~= ARGV[2] .. ':' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
return 1
