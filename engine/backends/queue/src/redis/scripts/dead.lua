-- ARGV: how many are kept; id, job, reason; and so on.
local at = now()
for i = 2, #ARGV, 3 do
  if finish(ARGV[i]) then
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[1], '*', 'job', ARGV[i + 1], 'reason', ARGV[i + 2], 'at', at)
  end
end
