-- Counts one against a rate (GCRA). KEYS: the key, which holds when everything that was counted has its room again, in
-- microseconds. ARGV: how many a minute. Gives how many more may follow, or -1 and how long to wait.
local PERIOD = 60000000
local time = redis.call('TIME')
local at = time[1] * 1000000 + time[2]
local interval = PERIOD / tonumber(ARGV[1])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), at) + interval
local wait = full - at - PERIOD
-- Less than a microsecond is rounding.
if wait >= 1 then return { -1, math.ceil(wait) } end
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil((full - at) / 1000))
return { math.floor((PERIOD - (full - at)) / interval + 0.001), 0 }
