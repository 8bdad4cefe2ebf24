-- Trims one stream below what every registered group has acknowledged and below
-- the retention, then down to the hard cap.
--
-- KEYS  1 stream   2 registered groups (group -> types, space-separated)
--       3 the type's hash of adopted entries
-- ARGV  1 type   2 oldest entry id to keep for the retention   3 hard cap, entries
-- Returns {trimmed, of which the cap removed unacknowledged by some group}
--
-- Atomic because: between looking at the groups and trimming, a group could be
-- made or destroyed; a registered group that is missing stops the trim.
local function before(a, b) -- entry ids
  local at, as = string.match(a, '^(%d+)-(%d+)$')
  local bt, bs = string.match(b, '^(%d+)-(%d+)$')
  if #at ~= #bt then return #at < #bt end
  if at ~= bt then return at < bt end
  return tonumber(as) < tonumber(bs)
end
local function after(id) -- the next entry id
  local t, s = string.match(id, '^(%d+)-(%d+)$')
  return t .. '-' .. string.format('%d', tonumber(s) + 1)
end

if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local floor, have = nil, {}
for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local info = {}
  for i = 1, #g, 2 do info[g[i]] = g[i + 1] end
  have[info['name']] = true
  local at = after(info['last-delivered-id'])
  if info['pending'] > 0 then
    at = redis.call('XPENDING', KEYS[1], info['name'])[2]
  end
  if not floor or before(at, floor) then floor = at end
end
local registered = redis.call('HGETALL', KEYS[2])
for i = 1, #registered, 2 do
  if string.find(' ' .. registered[i + 1] .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) and not have[registered[i]] then
    floor = '0-0'
  end
end

local trimmed, lost = 0, 0
if floor then
  local upTo = floor
  if before(ARGV[2], upTo) then upTo = ARGV[2] end
  if upTo ~= '0-0' then trimmed = redis.call('XTRIM', KEYS[1], 'MINID', upTo) end
end
local cap = tonumber(ARGV[3])
if redis.call('XLEN', KEYS[1]) > cap then
  -- Entries between the floor and the new first entry were not acknowledged by all.
  local unacked = floor and #redis.call('XRANGE', KEYS[1], floor, '+', 'COUNT', cap + 100000) or 0
  local cut = redis.call('XTRIM', KEYS[1], 'MAXLEN', cap)
  trimmed = trimmed + cut
  if unacked > cap then lost = unacked - cap end
end

-- Forget the adoptions of entries that are gone.
if redis.call('HLEN', KEYS[3]) > 0 then
  local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
  for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do
    if #head == 0 or before(id, head[1][1]) then redis.call('HDEL', KEYS[3], id) end
  end
end
return {trimmed, lost}
