-- Adds events to the logs of some workflows, moves their rows in the list forward and announces both.
--
-- KEYS[1] rows of the list: hash, workflow id -> {"row":{...},"at":{field: seq it is from}}
-- KEYS[2] index of the list: sorted set of workflow ids by time of their latest change, in ms
-- KEYS[3], ... per workflow its log: sorted set, score = seq, member = {"seq":n,"event":{...}}
-- ARGV[1] entries a log keeps    ARGV[2] ms a log outlives its latest event
-- ARGV[3] rows the list keeps    ARGV[4] channel of the list
-- ARGV[5], ... the workflows' ids; then per workflow: what the events say of its row, {field: [value, seq]};
--         its channel; how many events; seq and member of each
--
-- Returns how many events were not in the logs before.
--
-- Atomic, because the rows are read, changed and written while other members do the same, and because
-- what was announced must be there to be read. The same call twice changes nothing the second time.
local n, keep = #KEYS - 2, tonumber(ARGV[1])
local stored = redis.call('HMGET', KEYS[1], unpack(ARGV, 5, 4 + n))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows, moved, names = {}, {}, {}
local total, at = 0, 5 + n
for i = 1, n do
  local id, log, said, channel, events = ARGV[4 + i], KEYS[2 + i], cjson.decode(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local added = redis.call('ZADD', log, unpack(ARGV, at + 3, at + 2 + 2 * events))
  at = at + 3 + 2 * events
  total = total + added
  if said.seq[2] > keep then -- a log of lower numbers cannot be too long
    local over = redis.call('ZCARD', log) - keep
    if over > 0 then redis.call('ZREMRANGEBYRANK', log, 0, over - 1) end
  end
  redis.call('PEXPIRE', log, ARGV[2])

  local entry = stored[i] and cjson.decode(stored[i]) or { row = { workflow_id = id }, at = {} }
  local changed = false
  for field, what in pairs(said) do
    if what[2] > (entry.at[field] or 0) then
      entry.row[field] = what[1]
      entry.at[field] = what[2]
      changed = true
    end
  end
  if changed then
    names[#names + 1] = id
    rows[#rows + 1], rows[#rows + 2] = id, cjson.encode(entry)
    moved[#moved + 1], moved[#moved + 2] = now, id
  end
  if added > 0 then redis.call('PUBLISH', channel, '') end
end

if #names > 0 then
  redis.call('HSET', KEYS[1], unpack(rows))
  redis.call('ZADD', KEYS[2], unpack(moved))
  local many = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
  if many > 0 then
    local dropped = redis.call('ZPOPMIN', KEYS[2], many)
    for i = 1, #dropped, 2 do
      redis.call('HDEL', KEYS[1], dropped[i])
    end
  end
  redis.call('PUBLISH', ARGV[4], table.concat(names, ' '))
end
return total
