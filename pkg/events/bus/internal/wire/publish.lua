-- Admits a batch of events, each in an entry of its own; see admit.lua.
--
-- KEYS  then per event its stream
-- ARGV  then per event its JSON
return admit(function(seqs)
  local entries = {}
  for i = 1, n do
    entries[i] = redis.call('XADD', KEYS[more_keys + i], '*', 'data', ARGV[more_args + i], 'seq', seqs[i])
  end
  return entries
end)
