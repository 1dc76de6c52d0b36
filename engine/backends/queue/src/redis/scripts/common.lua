-- Stands before every script. All keys of a group have one hash tag, so that a cluster keeps them on one node:
--   stream   what was given out or is about to be: its pending entries are the leases
--   order    pointers that are ready, by 2^48 * (9 - priority) + number
--   jobs     pointer -> job, of everything ready or delayed
--   ages     pointers of `jobs` by the time of their push
--   delayed  pointers by the time before which they do not come
--   fair     priority -> number that was served last; 'priority key' -> number of the key's last job
--   idle     consumers that wait, by when they give up
--   dead     dead letters, a stream
--   born     the generation
-- A job is 'priority attempt pushed_at pointer key'.
local stream, order, jobs, ages, delayed, fair, idle, dead, born = unpack(KEYS)
local WORKERS, BAND = 'workers', 2 ^ 48

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function fair_key(job)
  local priority, key = string.match(job, '^(%d) %S+ %S+ %S+ (.*)$')
  return priority, priority .. ' ' .. key
end

-- Gives a job its number: one above the key's last one and the one being served. See engine/src/queue/fair.rs.
local function line_up(pointer, job)
  local priority, key = fair_key(job)
  local known = redis.call('HMGET', fair, priority, key)
  local number = math.max(tonumber(known[1] or 0), tonumber(known[2] or 0)) + 1
  redis.call('HSET', fair, key, number)
  redis.call('ZADD', order, (9 - priority) * BAND + number, pointer)
end

-- A pointer that waits already keeps its place; of two times the earlier one counts.
local function add(at, pointer, job, not_before, pushed_at)
  not_before = tonumber(not_before)
  if redis.call('HSETNX', jobs, pointer, job) == 0 then
    local due = redis.call('ZSCORE', delayed, pointer)
    if not due or not_before >= tonumber(due) then return end
    redis.call('ZREM', delayed, pointer)
    redis.call('HSET', jobs, pointer, job)
  end
  redis.call('ZADD', ages, pushed_at, pointer)
  if not_before > at then
    redis.call('ZADD', delayed, not_before, pointer)
  else
    line_up(pointer, job)
  end
end

-- Lines up what was delayed until now, a hundred jobs at most.
local function line_up_due(at)
  for _, pointer in ipairs(redis.call('ZRANGE', delayed, '-inf', at, 'BYSCORE', 'LIMIT', 0, 100)) do
    redis.call('ZREM', delayed, pointer)
    line_up(pointer, redis.call('HGET', jobs, pointer))
  end
end

-- Moves the first jobs into the stream, where whoever reads first gets them.
local function feed(count)
  if count <= 0 then return 0 end
  local first = redis.call('ZPOPMIN', order, count)
  if #first == 0 then return 0 end
  local pointers, keys, numbers = {}, {}, {}
  for i = 1, #first, 2 do table.insert(pointers, first[i]) end
  local found = redis.call('HMGET', jobs, unpack(pointers))
  local served = {}
  for i, job in ipairs(found) do
    local priority, key = fair_key(job)
    local number = first[2 * i] % BAND
    served[priority] = math.max(served[priority] or 0, number)
    keys[i], numbers[i] = key, number
    redis.call('XADD', stream, '*', 'job', job)
  end
  for priority, number in pairs(served) do redis.call('HSET', fair, priority, number) end
  -- A key whose last job this was is forgotten.
  local last, done = redis.call('HMGET', fair, unpack(keys)), {}
  for i, number in ipairs(numbers) do
    if tonumber(last[i] or 0) == number then table.insert(done, keys[i]) end
  end
  if #done > 0 then redis.call('HDEL', fair, unpack(done)) end
  redis.call('HDEL', jobs, unpack(pointers))
  redis.call('ZREM', ages, unpack(pointers))
  return #pointers
end

-- The number of leases; 0 when the group is gone.
local function pending()
  local found = redis.pcall('XPENDING', stream, WORKERS)
  return found.err and 0 or found[1]
end

-- Gives to who waits: as many jobs as consumers wait and nobody has read yet.
local function serve(at)
  if redis.call('ZCARD', idle) == 0 then return end
  redis.call('ZREMRANGEBYSCORE', idle, '-inf', at)
  local wanted = redis.call('ZCARD', idle)
  if wanted > 0 then feed(math.min(wanted - (redis.call('XLEN', stream) - pending()), 1000)) end
end

-- Ends leases, and says of each whether there was one.
local function finish(id)
  local held = redis.call('XACK', stream, WORKERS, id) == 1
  if held then redis.call('XDEL', stream, id) end
  return held
end
