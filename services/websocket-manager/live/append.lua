-- Moves the rows of some workflows in the list forward and announces that there is more to read: of their
-- rows, and of their logs, which commands before it in the same pipeline have added to.
--
-- KEYS[1] index of the list: sorted set of workflow ids by time of their latest change, in ms, to the second
-- KEYS[2], KEYS[3], ... per workflow its log: sorted set, score = seq, member = {"seq":n,"event":{...}};
--         and its row: hash, names of fields -> lines: the seq they are from, their values (row.go);
--         "top" -> no part is from a higher seq
-- ARGV[1] ms a log and a row outlive the latest event    ARGV[2] rows the list keeps
-- ARGV[3] channel of the list    ARGV[4] what is announced in it: the ids
-- ARGV[5], ... per workflow: its id; the lowest and the highest seq of its parts; how many parts, times
--         two; names and text of each part
--
-- Returns how many rows have moved.
--
-- Atomic, because the rows are read, compared and written while other members do the same. The same call
-- twice changes nothing the second time.
-- Redis has one thread and this runs for every event: no JSON is taken apart, nothing is read that the
-- usual call does not need, and what would be written again as it is is not written: neither the second
-- of the list's time nor the lives, which are renewed once in 1/64 of them.
local life = tonumber(ARGV[1])
local slack = math.floor(life / 64)
local now = redis.call('TIME')[1] .. '000'
local moved, at = {}, 5
for i = 2, #KEYS, 2 do
  local log, row = KEYS[i], KEYS[i + 1]
  local id, low, high, first = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], at + 4
  local last = at + 3 + ARGV[at + 3]
  at = last + 1

  local top, changed = redis.call('HGET', row, 'top'), true
  if not top or low > tonumber(top) then
    redis.call('HSET', row, 'top', high, unpack(ARGV, first, last))
  else -- delivered again, or another member was faster with later events: part by part
    local news = {}
    for p = first, last, 2 do
      local had = redis.call('HGET', row, ARGV[p])
      if not had or tonumber(string.match(ARGV[p + 1], '^%d+')) > tonumber(string.match(had, '^%d+')) then
        news[#news + 1], news[#news + 2] = ARGV[p], ARGV[p + 1]
      end
    end
    changed = #news > 0
    if tonumber(high) > tonumber(top) then news[#news + 1], news[#news + 2] = 'top', high end
    if changed then redis.call('HSET', row, unpack(news)) end
  end
  if changed then moved[#moved + 1], moved[#moved + 2] = now, id end

  if redis.call('PTTL', log) < life then
    redis.call('PEXPIRE', log, life + slack)
    redis.call('PEXPIRE', row, life + 2 * slack) -- longer: where there is a log, its row has a life too
  end
end

if #moved > 0 then
  redis.call('ZADD', KEYS[1], unpack(moved))
  local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
  if many > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, many - 1) end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return #moved / 2
