-- Adds events to a workflow's log, moves its row in the list forward and announces both.
--
-- KEYS[1] the workflow's log: sorted set, score = seq, member = {"seq":n,"event":{...}}
-- KEYS[2] rows of the list: hash, workflow id -> {"row":{...},"at":{field: seq it is from}}
-- KEYS[3] index of the list: sorted set of workflow ids by time of their latest change, in ms
-- ARGV[1] workflow id          ARGV[2] entries the log keeps    ARGV[3] ms the log outlives its latest event
-- ARGV[4] rows the list keeps  ARGV[5] what the events say of the row: {field: [value, seq]}
-- ARGV[6] channel of the workflow                               ARGV[7] channel of the list
-- ARGV[8], ARGV[9], ... seq and member of each event
--
-- Returns how many events were not in the log before.
--
-- Atomic, because the row is read, changed and written while other members do the same, and because
-- what was announced must be there to be read. The same call twice changes nothing the second time.
local added = 0
for i = 8, #ARGV, 2 do
  added = added + redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])

local stored = redis.call('HGET', KEYS[2], ARGV[1])
local entry = stored and cjson.decode(stored) or { row = { workflow_id = ARGV[1] }, at = {} }
local changed = false
for field, said in pairs(cjson.decode(ARGV[5])) do
  if said[2] > (entry.at[field] or 0) then
    entry.row[field] = said[1]
    entry.at[field] = said[2]
    changed = true
  end
end
if changed then
  redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(entry))
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
  local many = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[4])
  if many > 0 then
    local dropped = redis.call('ZPOPMIN', KEYS[3], many)
    for i = 1, #dropped, 2 do
      redis.call('HDEL', KEYS[2], dropped[i])
    end
  end
  redis.call('PUBLISH', ARGV[7], ARGV[1])
end
if added > 0 then
  redis.call('PUBLISH', ARGV[6], '')
end
return added
