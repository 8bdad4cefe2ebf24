-- Trims one stream below what every registered group has acknowledged and below
-- the retention, then towards the hard cap.
--
-- KEYS  1 stream   2 registered groups (group -> types, space-separated)
--       3 the type's hash of adopted entries
-- ARGV  1 type   2 oldest entry id to keep for the retention   3 hard cap, entries
--       4 most entries the cap removes in this call
-- Returns {trimmed, of which some group had not acknowledged, 1 when there is more
--       above the cap, then per group {group, removed entries it was never given}}.
--       Removed entries that a group was given and has not acknowledged are in a
--       member's hands, or found empty by whoever takes them over.
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

if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0, 0} end
local floor, groups = nil, {} -- groups: name -> {last delivered id, pending}
for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local info = {}
  for i = 1, #g, 2 do info[g[i]] = g[i + 1] end
  groups[info['name']] = {info['last-delivered-id'], info['pending']}
  local at = after(info['last-delivered-id'])
  if info['pending'] > 0 then
    at = redis.call('XPENDING', KEYS[1], info['name'])[2]
  end
  if not floor or before(at, floor) then floor = at end
end
local registered = redis.call('HGETALL', KEYS[2])
for i = 1, #registered, 2 do
  if string.find(' ' .. registered[i + 1] .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) and not groups[registered[i]] then
    groups[registered[i]] = {'0-0', 0}
    floor = '0-0'
  end
end

local out = {0, 0, 0}
if floor then
  local upTo = floor
  if before(ARGV[2], upTo) then upTo = ARGV[2] end
  if upTo ~= '0-0' then out[1] = redis.call('XTRIM', KEYS[1], 'MINID', upTo) end
end

local over = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[3])
if over > 0 then
  local n = math.min(over, tonumber(ARGV[4]))
  local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', n + 1)
  local keep = head[n + 1][1] -- the new first entry
  local fresh, pending = n + 1, {} -- from fresh on some group was given nothing
  for name, g in pairs(groups) do
    local i = n + 1
    while i > 1 and before(g[1], head[i - 1][1]) do i = i - 1 end
    if i <= n then out[#out + 1] = {name, n + 1 - i} end
    fresh = math.min(fresh, i)
    if g[2] > 0 then
      for _, p in ipairs(redis.call('XPENDING', KEYS[1], name, '-', '(' .. keep, n)) do pending[p[1]] = true end
    end
  end
  for i = 1, n do
    if i >= fresh or pending[head[i][1]] then out[2] = out[2] + 1 end
  end
  out[1] = out[1] + redis.call('XTRIM', KEYS[1], 'MINID', keep)
  if over > n then out[3] = 1 end
end

-- Forget the adoptions of entries that are gone.
if redis.call('HLEN', KEYS[3]) > 0 then
  local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
  for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do
    if #head == 0 or before(id, head[1][1]) then redis.call('HDEL', KEYS[3], id) end
  end
end
return out
