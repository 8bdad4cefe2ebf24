-- Put between memory.lua and the script that adds the entries, which differ in how
-- many events an entry holds. admit(add) admits a batch of events and, optionally,
-- changes one state key with them. add(seqs) adds the entries and returns per event
-- the id of its entry.
--
-- KEYS  1 to 4 as in memory.lua; then, with a change: the state key, then the key of
--       each index update; then those of add
-- ARGV  1 number of events        2 dedup window, ms     3 life of a counter, ms
--       4 change: none|set|delete 5 revision expected    6 document
--       7 life of the state, ms (0: for ever)            8 number of index updates
--       then per event its id; then per event its workflow id; then per index update:
--       op (add|rem), member, score; then those of add
-- Returns {"ok", per event "<seq> <entry id>"}, or {"conflict", revision}, or, when any
--       event is known, {"known", then per event "<seq> <entry id>" or ""}: nothing is
--       added then, and the caller sends the others again
--
-- Atomic because: two publishers of one workflow must not take the same number,
-- a repeated id must find the first one's entry, and a state must never be seen
-- without its events or they without it. Whether Redis is out of memory is
-- decided before the script's first write, so it is all or nothing.
local n, changes, updates = tonumber(ARGV[1]), ARGV[4] ~= 'none', tonumber(ARGV[8])
local ids, workflows, indexes = 8, 8 + n, 8 + 2 * n -- in ARGV, before the first
local more_keys, more_args = 4, indexes + 3 * updates -- before the first of add's
if changes then more_keys = 5 + updates end

-- change makes the change and returns the state's revision when it is another.
local function change()
  local state = KEYS[5]
  local rev = redis.call('HGET', state, 'rev') or '0'
  if rev ~= ARGV[5] then return rev end
  if ARGV[4] == 'delete' then
    redis.call('DEL', state)
  else
    redis.call('HSET', state, 'rev', string.format('%d', tonumber(rev) + 1), 'doc', ARGV[6])
    if ARGV[7] ~= '0' then redis.call('PEXPIRE', state, ARGV[7]) else redis.call('PERSIST', state) end
  end
  for i = 1, updates do
    local at = indexes + 3 * (i - 1)
    if ARGV[at + 1] == 'add' then
      redis.call('ZADD', KEYS[5 + i], ARGV[at + 3], ARGV[at + 2])
    else
      redis.call('ZREM', KEYS[5 + i], ARGV[at + 2])
    end
  end
end

-- numbers gives each event the next number of its workflow.
local function numbers()
  local seqs, latest, counters = {}, {}, {} -- latest: of workflows that come more than once
  local counted = recall(KEYS[3], KEYS[4], workflows + 1, workflows + n)
  for i = 1, n do
    local workflow = ARGV[workflows + i]
    local seq = (latest[workflow] or tonumber(counted[i] or 0)) + 1
    latest[workflow] = seq
    seqs[i] = string.format('%d', seq)
    counters[2 * i - 1], counters[2 * i] = workflow, seqs[i]
  end
  return seqs, counters
end

local function admit(add)
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
  local conflict = changes and change()
  if conflict then return {'conflict', conflict} end
  local seqs, counters = numbers()
  local entries = add(seqs)
  local out, facts = {'ok'}, {}
  for i = 1, n do
    local fact = seqs[i] .. ' ' .. entries[i]
    facts[2 * i - 1], facts[2 * i], out[1 + i] = ARGV[ids + i], fact, fact
  end
  keep(KEYS[1], KEYS[2], facts, tonumber(ARGV[2]))
  keep(KEYS[3], KEYS[4], counters, tonumber(ARGV[3]))
  return out
end

