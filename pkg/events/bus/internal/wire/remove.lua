#!lua flags=allow-oom
-- Removes a group from one partition.
--
-- KEYS  1 registered groups   2 the group's members   3 its replays   4 its dead
--       letters; then the streams it may be on
-- ARGV  1 group   2 1: delete its dead letters too   then per dead member: its name,
--       its lease as the caller saw it stand still
-- Returns {} when the group is gone from here, {'member', name} when one has joined
--       or has given a sign of life, {'letters', n} when there are dead letters that
--       were not to be deleted; then nothing was changed
--
-- Atomic because: a member that joins must find all of the group or nothing of it,
-- and trimming must not see it registered where it does not read any more.
-- Runs when Redis is out of memory too: a group that nobody reads for may be why.
local dead = {}
for i = 3, #ARGV, 2 do dead[ARGV[i]] = ARGV[i + 1] end
local members = redis.call('HGETALL', KEYS[2])
for i = 1, #members, 2 do
  if members[i + 1] ~= 'left' and members[i + 1] ~= dead[members[i]] then return {'member', members[i]} end
end
local letters = redis.call('XLEN', KEYS[4])
if letters > 0 and ARGV[2] ~= '1' then return {'letters', letters} end
for i = 5, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('XGROUP', 'DESTROY', KEYS[i], ARGV[1]) end
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('HDEL', KEYS[1], ARGV[1])
return {}
