-- ARGV: consumer, how many, lease in milliseconds.
-- Returns {id, job, deliveries before this one...}.
local consumer, most, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local got, cursor = {}, '0-0'
repeat
  local page = redis.pcall('XAUTOCLAIM', stream, WORKERS, consumer, lease, cursor, 'COUNT', most - #got / 3)
  if page.err then
    if string.find(page.err, 'NOGROUP') then return {} end
    error(page)
  end
  cursor = page[1]
  for _, entry in ipairs(page[2]) do
    local deliveries = redis.call('XPENDING', stream, WORKERS, entry[1], entry[1], 1)[1][4]
    table.insert(got, entry[1])
    table.insert(got, entry[2][2])
    table.insert(got, deliveries - 1)
  end
until cursor == '0-0' or #got / 3 >= most
-- Names of consumers that hold nothing and have not been heard of for ten leases.
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, WORKERS)) do
  if info[2] ~= consumer and info[4] == 0 and info[6] > 10 * lease then
    redis.call('XGROUP', 'DELCONSUMER', stream, WORKERS, info[2])
  end
end
return got
