-- Writes the numbers of attempts into the pending list: of one about to begin, or
-- of one that is taken back because it did not count.
--
-- KEYS  per entry: its stream
-- ARGV  1 group   2 caller   then per entry: its id, attempts begun
-- Returns per entry 1, or 0 when it is no longer pending under the caller
--
-- Atomic because: XCLAIM would take an entry back from a member that claimed it
-- meanwhile.
local out = {}
for i, stream in ipairs(KEYS) do
  local id, begun = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  local p = redis.call('XPENDING', stream, ARGV[1], id, id, 1)
  if #p == 0 or p[1][2] ~= ARGV[2] then
    out[i] = 0
  else
    redis.call('XCLAIM', stream, ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', begun, 'JUSTID')
    out[i] = 1
  end
end
return out
