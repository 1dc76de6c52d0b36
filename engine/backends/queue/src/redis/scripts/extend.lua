-- ARGV: consumer, ids. Returns 1 or 0 for each: who has lost a lease does not get it back.
local kept = {}
for i = 2, #ARGV do
  local held = redis.pcall('XPENDING', stream, WORKERS, ARGV[i], ARGV[i], 1)
  if not held.err and held[1] and held[1][2] == ARGV[1] then
    -- JUSTID: an extension is no delivery.
    redis.call('XCLAIM', stream, WORKERS, ARGV[1], 0, ARGV[i], 'JUSTID')
    kept[i - 1] = 1
  else
    kept[i - 1] = 0
  end
end
return kept
