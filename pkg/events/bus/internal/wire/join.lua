#!lua flags=allow-oom
-- Registers a group, makes it on the streams where it is missing, and takes a member's
-- lease.
--
-- KEYS  1 registered groups   2 the group's members; then the streams
-- ARGV  1 group   2 its types, space-separated   3 member   4 its lease; '' takes none
--       5 where the group begins to read: an entry id, 0 for the oldest entry, $ for now
-- Returns on how many streams the group was missing
--
-- Atomic because: trimming must never see the group without its registration.
-- Runs when Redis is out of memory too: only members that read and acknowledge
-- lead out of it, and what is written here is small and bounded.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local made = 0
for i = 3, #KEYS do
  local reply = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[1], ARGV[5], 'MKSTREAM')
  if not reply.err then
    made = made + 1
  elseif not string.find(reply.err, 'BUSYGROUP', 1, true) then
    return reply
  end
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[3], ARGV[4]) end
return made
