-- ARGV: consumer, how many, for how many milliseconds it will wait if there is nothing.
-- Returns { {id, job, id, job...}, milliseconds until the next delayed job or -1 }.
local consumer, most, wait = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local got = {}

-- The group is made again when it went with the data.
local function read(count)
  local options = { 'GROUP', WORKERS, consumer, 'COUNT', count, 'STREAMS', stream, '>' }
  local found = redis.pcall('XREADGROUP', unpack(options))
  if found and found.err and string.find(found.err, 'NOGROUP') then
    redis.call('XGROUP', 'CREATE', stream, WORKERS, '0', 'MKSTREAM')
    found = redis.call('XREADGROUP', unpack(options))
  end
  if not found then return 0 end
  if found.err then error(found) end
  for _, entry in ipairs(found[1][2]) do
    table.insert(got, entry[1])
    table.insert(got, entry[2][2])
  end
  return #found[1][2]
end

local at = now()
line_up_due(at)
-- First what was meant for a consumer that did not come back.
local left = most - read(most)
if left > 0 and feed(left) > 0 then read(left) end
if #got > 0 or wait == 0 then
  redis.call('ZREM', idle, consumer)
  serve(at)
else
  redis.call('ZADD', idle, at + wait, consumer)
end
local next = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return { got, next[2] and math.max(next[2] - at, 0) or -1 }
