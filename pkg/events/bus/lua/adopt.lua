#!lua flags=allow-oom
-- Admits entries that others added without seq, the same way for every group.
--
-- KEYS  per entry 3: its type's hash of adopted entries, its workflow's counter,
--       its event id's memory
-- ARGV  1 dedup window, ms   2 life of a counter, ms   then per entry: its entry id
-- Returns per entry its seq, or 0 for a repeat of an event id that was admitted
--       under another entry
--
-- Atomic because: every group reads the entry, the first to ask decides, and the
-- others must be told the same, also long after the dedup window.
-- Runs when Redis is out of memory too: entries that are there must be handled,
-- and none can be added then.
local out = {}
for i = 1, #KEYS / 3 do
  local adopted, counter, memory = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local id = ARGV[2 + i]
  local seq = redis.call('HGET', adopted, id)
  if not seq then
    local known = redis.call('GET', memory)
    if known then
      seq = 0
    else
      seq = redis.call('INCR', counter)
      redis.call('PEXPIRE', counter, ARGV[2])
      redis.call('SET', memory, seq .. ' ' .. id, 'PX', ARGV[1])
    end
    redis.call('HSET', adopted, id, seq)
  end
  out[i] = tonumber(seq)
end
return out
