-- Takes from the paces of an account (GCRA). KEYS: until when it is left alone; when everything that was taken of its calls,
-- and of its tokens, has its room again; in microseconds. ARGV: for how long to leave it alone from now on; what may be used
-- at once, in microseconds of a pace; how many calls a minute, or 0 for any number, and how many to take; the same of tokens;
-- whether to take them whether they are there or not. Gives how long it is left alone, and how long it takes until they are
-- there; when one of them is not 0, nothing was taken.
local PERIOD = 60000000
local time = redis.call('TIME')
local at = time[1] * 1000000 + time[2]
local burst = tonumber(ARGV[2])
local forced = ARGV[7] == '1'

local function keep(key, until_when)
  if until_when > at then
    redis.call('SET', key, string.format('%.3f', until_when), 'PX', math.ceil((until_when - at) / 1000))
  end
end

local alone = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), at + tonumber(ARGV[1]))
if tonumber(ARGV[1]) > 0 then keep(KEYS[1], alone) end

local pause, wait, full = math.ceil(alone - at), 0, {}
for i = 1, 2 do
  local pace, need = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  if pace > 0 and need ~= 0 then
    local interval = PERIOD / pace
    local now = math.max(tonumber(redis.call('GET', KEYS[i + 1]) or 0), at)
    full[i] = now + need * interval
    -- One call fits at least, and one that is larger than everything passes when all of it is there.
    local most = math.max(burst, interval)
    wait = math.max(wait, now + math.min(need * interval, most) - at - most)
  end
end
-- Less than a microsecond is rounding.
if (pause > 0 or wait >= 1) and not forced then return { pause, math.ceil(wait) } end
for i, until_when in pairs(full) do
  if until_when > at then keep(KEYS[i + 1], until_when) else redis.call('DEL', KEYS[i + 1]) end
end
return { 0, 0 }
