-- Admits entries that others added without seq, the same way for every group.
--
-- KEYS  1 to 4 as in memory.lua; then per entry its type's hash of adopted entries
-- ARGV  1 dedup window, ms   2 life of a counter, ms   then per entry 3: its entry id,
--       its event id, its workflow id
-- Returns per entry its seq, or 0 for a repeat of an event id that was admitted
--       under another entry
--
-- Atomic because: every group reads the entry, the first to ask decides, and the
-- others must be told the same, also long after the dedup window.
-- Runs when Redis is out of memory too: entries that are there must be handled,
-- and none can be added then.
local out = {}
for i = 1, #KEYS - 4 do
  local adopted, at = KEYS[4 + i], 3 * i
  local entry, id, workflow = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local seq = redis.call('HGET', adopted, entry)
  if not seq then
    if recall(KEYS[1], KEYS[2], at + 1, at + 1)[1] then
      seq = '0'
    else
      seq = string.format('%d', tonumber(recall(KEYS[3], KEYS[4], at + 2, at + 2)[1] or 0) + 1)
      keep(KEYS[3], KEYS[4], {workflow, seq}, tonumber(ARGV[2]))
      keep(KEYS[1], KEYS[2], {id, seq .. ' ' .. entry}, tonumber(ARGV[1]))
    end
    redis.call('HSET', adopted, entry, seq)
  end
  out[i] = tonumber(seq)
end
return out
