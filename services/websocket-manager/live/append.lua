-- Adds events to the logs of some workflows, moves their rows in the list forward and announces both.
--
-- KEYS[1] index of the list: sorted set of workflow ids by time of their latest change, in ms
-- KEYS[2], KEYS[3], ... per workflow its log: sorted set, score = seq, member = {"seq":n,"event":{...}};
--         and its row: hash, field -> "<seq it is from> <value as JSON>"
-- ARGV[1] entries a log keeps    ARGV[2] ms a log and a row outlive the latest event
-- ARGV[3] rows the list keeps    ARGV[4] channel of the list
-- ARGV[5], ... per workflow: its id; its channel; how many events, fields; seq and member of each event;
--         the names of the fields; seq and value of each field
--
-- Returns how many events were not in the logs before.
--
-- Atomic, because the rows are read, compared and written while other members do the same, and because
-- what was announced must be there to be read. The same call twice changes nothing the second time.
-- No JSON is taken apart here: that would be most of the script's time.
local keep, life = tonumber(ARGV[1]), ARGV[2]
local moved, names = {}, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local total, at = 0, 5
for i = 2, #KEYS, 2 do
  local log, row = KEYS[i], KEYS[i + 1]
  local id, channel, events, fields = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  local added = redis.call('ZADD', log, unpack(ARGV, at, at + 2 * events - 1))
  total = total + added
  for e = at, at + 2 * events - 1, 2 do
    if tonumber(ARGV[e]) > keep then -- a log of lower numbers cannot be too long
      local over = redis.call('ZCARD', log) - keep
      if over > 0 then redis.call('ZREMRANGEBYRANK', log, 0, over - 1) end
      break
    end
  end
  redis.call('PEXPIRE', log, life)
  at = at + 2 * events

  local had = redis.call('HMGET', row, unpack(ARGV, at, at + fields - 1))
  local changed = {}
  for f = 1, fields do
    local seq = ARGV[at + fields + 2 * (f - 1)]
    if not had[f] or tonumber(seq) > tonumber(string.match(had[f], '^%d+')) then
      changed[#changed + 1], changed[#changed + 2] = ARGV[at + f - 1], seq .. ' ' .. ARGV[at + fields + 2 * f - 1]
    end
  end
  at = at + 3 * fields
  if #changed > 0 then
    redis.call('HSET', row, unpack(changed))
    redis.call('PEXPIRE', row, life)
    names[#names + 1] = id
    moved[#moved + 1], moved[#moved + 2] = now, id
  end
  if added > 0 then redis.call('PUBLISH', channel, '') end
end

if #names > 0 then
  redis.call('ZADD', KEYS[1], unpack(moved))
  local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
  if many > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, many - 1) end
  redis.call('PUBLISH', ARGV[4], table.concat(names, ' '))
end
return total
