-- Admits a batch of events and, optionally, changes one state key with them.
--
-- KEYS  per event 3: its stream, its workflow's counter, its id's memory;
--       then, with a change: the state key; then the key of each index update
-- ARGV  1 number of events        2 dedup window, ms     3 life of a counter, ms
--       4 change: none|set|delete 5 revision expected    6 document
--       7 life of the state, ms (0: for ever)            8 number of index updates
--       then each event's JSON; then per index update: op (add|rem), member, score
-- Returns {"ok", then per event known 0|1, entry id, seq} or {"conflict", revision}
--
-- Atomic because: two publishers of one workflow must not take the same number,
-- a repeated id must find the first one's entry, and a state must never be seen
-- without its events or they without it. Whether Redis is out of memory is
-- decided before the script's first write, so it is all or nothing.
local n = tonumber(ARGV[1])
local window, life = ARGV[2], ARGV[3]
local op, expected = ARGV[4], ARGV[5]

if op ~= 'none' then
  -- A repeat of a commit whose reply was lost finds its first event known.
  if not redis.call('GET', KEYS[3]) then
    local rev = redis.call('HGET', KEYS[3 * n + 1], 'rev') or '0'
    if rev ~= expected then return {'conflict', rev} end
    local state = KEYS[3 * n + 1]
    if op == 'delete' then
      redis.call('DEL', state)
    else
      redis.call('HSET', state, 'rev', string.format('%d', tonumber(expected) + 1), 'doc', ARGV[6])
      if ARGV[7] ~= '0' then redis.call('PEXPIRE', state, ARGV[7]) else redis.call('PERSIST', state) end
    end
    for i = 1, tonumber(ARGV[8]) do
      local key, at = KEYS[3 * n + 1 + i], 8 + n + 3 * (i - 1)
      if ARGV[at + 1] == 'add' then
        redis.call('ZADD', key, ARGV[at + 3], ARGV[at + 2])
      else
        redis.call('ZREM', key, ARGV[at + 2])
      end
    end
  end
end

local memories, fresh = {}, {}
for i = 1, n do memories[i] = KEYS[3 * i] end
local remembered = redis.call('MGET', unpack(memories))

local out = {'ok'}
for i = 1, n do
  local stream, counter, memory = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local known = remembered[i] or fresh[memory] -- from before, or from earlier in this batch
  if known then
    local seq, id = string.match(known, '^(%d+) (%S+)')
    -- A write, so that a WAIT behind a repeat waits for what the first try added.
    redis.call('PEXPIRE', memory, window)
    out[3 * i - 1], out[3 * i], out[3 * i + 1] = 1, id, tonumber(seq)
  else
    local seq = redis.call('INCR', counter)
    -- Now and then is enough for a life of weeks, and a write less for most events.
    if seq % 16 == 1 then redis.call('PEXPIRE', counter, life) end
    local id = redis.call('XADD', stream, '*', 'data', ARGV[8 + i], 'seq', seq)
    fresh[memory] = seq .. ' ' .. id
    redis.call('SET', memory, fresh[memory], 'PX', window)
    out[3 * i - 1], out[3 * i], out[3 * i + 1] = 0, id, seq
  end
end
return out
