-- Admits a batch of events and, optionally, changes one state key with them. Events
-- of one stream may share an entry: data is a JSON array of them then, and seq their
-- numbers, space-separated.
--
-- KEYS  1 to 4 as in memory.lua; then per entry its stream; then, with a change: the
--       state key; then the key of each index update
-- ARGV  1 number of events        2 dedup window, ms     3 life of a counter, ms
--       4 a byte per event: which entry it is in, from 0
--       5 change: none|set|delete 6 revision expected    7 document
--       8 life of the state, ms (0: for ever)            9 number of index updates
--       then per event its id; then per event its workflow id; then per entry its
--       data; then per index update: op (add|rem), member, score
-- Returns {"ok", seqs of the events, space-separated, then the entries' ids}, or
--       {"conflict", revision}, or, when any event is known, {"known", then per event
--       "<seq> <entry id>" or ""}: nothing is added then, and the caller sends the
--       others again
--
-- Atomic because: two publishers of one workflow must not take the same number,
-- a repeated id must find the first one's entry, and a state must never be seen
-- without its events or they without it. Whether Redis is out of memory is
-- decided before the script's first write, so it is all or nothing.
local n, in_entry = tonumber(ARGV[1]), ARGV[4]
local ids, workflows, datas = 9, 9 + n, 9 + 2 * n -- in ARGV, before the first

local known = recall(KEYS[1], KEYS[2], ids + 1, ids + n)
for i = 1, n do
  if known[i] then
    -- A write, so that a WAIT behind a repeat waits for what the first try added.
    for k = 1, 2 do
      local left = redis.call('PTTL', KEYS[k])
      if left > 0 then redis.call('PEXPIRE', KEYS[k], left) end
    end
    for j = 1, n do known[j] = known[j] or '' end
    return {'known', unpack(known)}
  end
end

local entries = #KEYS - 4
if ARGV[5] ~= 'none' then
  local updates = tonumber(ARGV[9])
  entries = entries - 1 - updates
  local state = KEYS[4 + entries + 1]
  local rev = redis.call('HGET', state, 'rev') or '0'
  if rev ~= ARGV[6] then return {'conflict', rev} end
  if ARGV[5] == 'delete' then
    redis.call('DEL', state)
  else
    redis.call('HSET', state, 'rev', string.format('%d', tonumber(rev) + 1), 'doc', ARGV[7])
    if ARGV[8] ~= '0' then redis.call('PEXPIRE', state, ARGV[8]) else redis.call('PERSIST', state) end
  end
  for i = 1, updates do
    local key, at = KEYS[4 + entries + 1 + i], datas + entries + 3 * (i - 1)
    if ARGV[at + 1] == 'add' then
      redis.call('ZADD', key, ARGV[at + 3], ARGV[at + 2])
    else
      redis.call('ZREM', key, ARGV[at + 2])
    end
  end
end

local seqs, latest, counters = {}, {}, {} -- latest: of workflows that come more than once
local counted = recall(KEYS[3], KEYS[4], workflows + 1, workflows + n)
local of_entry = {}
for e = 1, entries do of_entry[e] = {} end
for i = 1, n do
  local workflow = ARGV[workflows + i]
  local seq = (latest[workflow] or tonumber(counted[i] or 0)) + 1
  latest[workflow] = seq
  seqs[i] = string.format('%d', seq)
  counters[2 * i - 1], counters[2 * i] = workflow, seqs[i]
  local list = of_entry[string.byte(in_entry, i) + 1]
  list[#list + 1] = seqs[i]
end

local out = {'ok', table.concat(seqs, ' ')}
for e = 1, entries do
  out[2 + e] = redis.call('XADD', KEYS[4 + e], '*', 'data', ARGV[datas + e], 'seq', table.concat(of_entry[e], ' '))
end

local facts = {}
for i = 1, n do
  facts[2 * i - 1] = ARGV[ids + i]
  facts[2 * i] = seqs[i] .. ' ' .. out[3 + string.byte(in_entry, i)]
end
keep(KEYS[1], KEYS[2], facts, tonumber(ARGV[2]))
keep(KEYS[3], KEYS[4], counters, tonumber(ARGV[3]))
return out
