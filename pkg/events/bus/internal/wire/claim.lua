-- Moves a dead member's pending entries to the caller and, when it holds nothing
-- more, removes it.
--
-- KEYS  1 the group's members; then the streams
-- ARGV  1 group   2 caller   3 dead member   4 its lease as the caller saw it stand
--       still, '' for none   5 most entries to move   6 ms that an entry must have lain
--       untouched
-- Returns {removed 0|1, then per moved entry {index of its stream in KEYS - 2, entry id,
--       deliveries so far}}; the entries are now pending under the caller.
--       With caller = dead member and 5 = 0 a member takes leave: nothing moves, it
--       is removed where it holds nothing, else its lease becomes 'left'.
--
-- Atomic because: the member may raise its counter between the look and the
-- claim; then it is alive and nothing must move. A consumer is deleted only when
-- it holds nothing, else its pending entries would be gone with it.
local lease = redis.call('HGET', KEYS[1], ARGV[3]) or ''
if lease ~= ARGV[4] then return {0} end
local moved, left = {}, false
for i = 2, #KEYS do
  local want = tonumber(ARGV[5]) - #moved
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1], 'IDLE', ARGV[6], '-', '+', math.max(want, 1), ARGV[3])
  if not pending.err then
    if want > 0 and #pending > 0 then
      local claim = {'XCLAIM', KEYS[i], ARGV[1], ARGV[2], 0}
      for _, p in ipairs(pending) do
        claim[#claim + 1] = p[1]
        moved[#moved + 1] = {i - 2, p[1], p[4]}
      end
      claim[#claim + 1] = 'JUSTID'
      redis.call(unpack(claim))
    end
    local rest = redis.call('XPENDING', KEYS[i], ARGV[1], '-', '+', 1, ARGV[3])
    if #rest > 0 then
      left = true
    else
      redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[1], ARGV[3])
    end
  end
end
if not left then
  redis.call('HDEL', KEYS[1], ARGV[3])
elseif ARGV[2] == ARGV[3] then
  redis.pcall('HSET', KEYS[1], ARGV[3], 'left') -- refused when out of memory: then its lease stands still
end
return {left and 0 or 1, unpack(moved)}
