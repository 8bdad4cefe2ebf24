-- Moves a pending entry to the dead letters: the letter is written, then the entry
-- is acknowledged.
--
-- KEYS  1 stream   2 dead letters of the group
-- ARGV  1 group   2 caller   3 entry id   then the letter's fields and values
-- Returns the letter's id, or '' when the entry is no longer the caller's
--
-- Atomic because: an acknowledged entry without its letter is a lost event, a
-- letter without the acknowledgement is written again by whoever claims it.
local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #p == 0 or p[1][2] ~= ARGV[2] then return '' end
local add = {'XADD', KEYS[2], '*'}
for i = 4, #ARGV do add[#add + 1] = ARGV[i] end
local id = redis.call(unpack(add))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return id
