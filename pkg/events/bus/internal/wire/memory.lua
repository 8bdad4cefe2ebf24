-- Put before the scripts that admit events. What must be known of event ids and
-- workflows for a time is kept in pairs of hashes, a young one and an old one, KEYS
-- 1 to 4 of those scripts:
--       1, 2  event id -> "<seq> <entry id>", for the dedup window
--       3, 4  workflow id -> its latest seq
-- New fields go into the young one. When that is as old as the time they are to be
-- kept, it takes the place of the old one, which is forgotten: so each is kept for
-- once to twice that time. A batch is a few commands so, however many events it
-- has, and nothing expires field by field.
local grace = 10000 -- ms; an old hash goes by UNLINK, in the background, before it expires

-- recall asks both hashes for ARGV[from] to ARGV[to]; false for what neither has.
local function recall(young, old, from, to)
  local found, missing = redis.call('HMGET', young, unpack(ARGV, from, to)), false
  for i = 1, to - from + 1 do missing = missing or not found[i] end
  if missing then
    local before = redis.call('HMGET', old, unpack(ARGV, from, to))
    for i = 1, to - from + 1 do found[i] = found[i] or before[i] end
  end
  return found
end

-- keep writes {field, value, field, value ...}, to be kept for so many ms.
local function keep(young, old, fields, ms)
  local left = redis.call('PTTL', young)
  if left >= 0 and left <= ms + grace then
    redis.call('UNLINK', old)
    redis.call('RENAME', young, old)
    left = -2
  end
  redis.call('HSET', young, unpack(fields))
  if left < 0 then redis.call('PEXPIRE', young, 2 * ms + grace) end
end

