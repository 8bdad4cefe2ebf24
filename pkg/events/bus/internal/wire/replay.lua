-- Gives a dead letter back to its group alone.
--
-- KEYS  1 dead letters of the group   2 replays of the group
-- ARGV  1 the letter's id   then fields and values to add to the replayed entry
-- Returns the replayed entry's id, or '' when the letter is not there (any more)
--
-- Atomic because: two operators replaying at once must not deliver it twice, and
-- it must not be lost between the two streams.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return '' end
local add = {'XADD', KEYS[2], '*'}
for _, v in ipairs(found[1][2]) do add[#add + 1] = v end
for i = 2, #ARGV do add[#add + 1] = ARGV[i] end
local id = redis.call(unpack(add))
redis.call('XDEL', KEYS[1], ARGV[1])
return id
