-- Admits a batch of events, of which several may share an entry: data is a JSON array
-- of them then, and seq their numbers, space-separated; see admit.lua.
--
-- KEYS  then per entry its stream
-- ARGV  then per entry its data; then a byte per event: which entry it is in, from 0
return admit(function(seqs)
  local count = #KEYS - more_keys
  local in_entry, seqs_of, added, entries = ARGV[more_args + count + 1], {}, {}, {}
  for e = 1, count do seqs_of[e] = {} end
  for i = 1, n do
    local list = seqs_of[string.byte(in_entry, i) + 1]
    list[#list + 1] = seqs[i]
  end
  for e = 1, count do
    added[e] = redis.call('XADD', KEYS[more_keys + e], '*', 'data', ARGV[more_args + e], 'seq', table.concat(seqs_of[e], ' '))
  end
  for i = 1, n do entries[i] = added[string.byte(in_entry, i) + 1] end
  return entries
end)
