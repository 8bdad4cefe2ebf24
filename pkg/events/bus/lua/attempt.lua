-- Begins an attempt after the first: writes its number into the pending list.
--
-- KEYS  1 stream
-- ARGV  1 group   2 caller   3 entry id   4 number of the attempt
-- Returns 1, or 0 when the entry is no longer pending under the caller
--
-- Atomic because: XCLAIM would take the entry back from a member that claimed it
-- meanwhile.
local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #p == 0 or p[1][2] ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', ARGV[4], 'JUSTID')
return 1
