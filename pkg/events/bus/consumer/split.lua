#!lua flags=allow-oom
-- Splits an entry of several events: those that are not done become entries of their
-- own for this group alone, and the entry is acknowledged.
--
-- KEYS  1 stream   2 the group's stream of what comes back to it
-- ARGV  1 group   2 caller   3 entry id   then per event 6: its JSON, its seq, attempts
--       begun, ms to wait before the next, and for one that shall become a dead
--       letter its class and error (else '')
-- Returns 1, or 0 when the entry is no longer the caller's
--
-- Atomic because: between the acknowledgement and the new entries an event would be
-- lost, the other way round it would be there twice.
-- Runs when Redis is out of memory too: a member holds a bounded number of entries,
-- and good events must not wait in one with a bad one.
local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #p == 0 or p[1][2] ~= ARGV[2] then return 0 end
for i = 4, #ARGV, 6 do
  local add = {'XADD', KEYS[2], '*', 'data', ARGV[i], 'seq', ARGV[i + 1], 'stream', KEYS[1], 'entry', ARGV[3],
    'begun', ARGV[i + 2], 'wait', ARGV[i + 3]}
  if ARGV[i + 4] ~= '' then
    for _, v in ipairs({'class', ARGV[i + 4], 'error', ARGV[i + 5]}) do add[#add + 1] = v end
  end
  redis.call(unpack(add))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1
