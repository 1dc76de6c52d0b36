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

-- Gives jobs ({ pointer, job, ... }) their numbers: one above the key's last one and the one being served. See
-- engine/src/queue/fair.rs. What is known of a key is read once and written once, however many jobs it has here.
local function line_up(list)
  if #list == 0 then return end
  local fields, number, parts = {}, {}, {}
  for i = 2, #list, 2 do
    local priority, key = fair_key(list[i])
    parts[i] = { priority, key }
    for _, field in ipairs(parts[i]) do
      if not number[field] then
        number[field] = 0
        table.insert(fields, field)
      end
    end
  end
  for i, known in ipairs(redis.call('HMGET', fair, unpack(fields))) do number[fields[i]] = tonumber(known or 0) end
  local numbers, places = {}, {}
  for i = 2, #list, 2 do
    local priority, key = unpack(parts[i])
    number[key] = math.max(number[priority], number[key]) + 1
    table.insert(places, (9 - priority) * BAND + number[key])
    table.insert(places, list[i - 1])
  end
  for _, field in ipairs(fields) do
    if #field > 1 then
      table.insert(numbers, field)
      table.insert(numbers, number[field])
    end
  end
  redis.call('HSET', fair, unpack(numbers))
  redis.call('ZADD', order, unpack(places))
end

-- Adds jobs: { pointer, job, not before, pushed at, ... }. A pointer that waits already keeps its place; of two times the
-- earlier one counts.
local function add(at, list)
  if #list == 0 then return end
  local pointers = {}
  for i = 1, #list, 4 do table.insert(pointers, list[i]) end
  local waits = redis.call('HMGET', jobs, unpack(pointers))
  local new, old, store, times, ready, later = {}, {}, {}, {}, {}, {}
  for n, pointer in ipairs(pointers) do
    local i = 4 * n - 3
    if waits[n] or new[pointer] then
      table.insert(old, i)
    else
      new[pointer] = true
      table.insert(store, pointer)
      table.insert(store, list[i + 1])
      table.insert(times, list[i + 3])
      table.insert(times, pointer)
      if tonumber(list[i + 2]) > at then
        table.insert(later, list[i + 2])
        table.insert(later, pointer)
      else
        table.insert(ready, pointer)
        table.insert(ready, list[i + 1])
      end
    end
  end
  if #store > 0 then
    redis.call('HSET', jobs, unpack(store))
    redis.call('ZADD', ages, unpack(times))
  end
  if #later > 0 then redis.call('ZADD', delayed, unpack(later)) end
  line_up(ready)
  for _, i in ipairs(old) do
    local pointer, job, not_before = list[i], list[i + 1], tonumber(list[i + 2])
    local due = redis.call('ZSCORE', delayed, pointer)
    if due and not_before < tonumber(due) then
      redis.call('HSET', jobs, pointer, job)
      redis.call('ZADD', ages, list[i + 3], pointer)
      redis.call('ZREM', delayed, pointer)
      if not_before > at then redis.call('ZADD', delayed, not_before, pointer) else line_up({ pointer, job }) end
    end
  end
end

-- Lines up what was delayed until now, a hundred jobs at most.
local function line_up_due(at)
  local pointers = redis.call('ZRANGE', delayed, '-inf', at, 'BYSCORE', 'LIMIT', 0, 100)
  if #pointers == 0 then return end
  redis.call('ZREM', delayed, unpack(pointers))
  local list = {}
  for i, job in ipairs(redis.call('HMGET', jobs, unpack(pointers))) do
    table.insert(list, pointers[i])
    table.insert(list, job)
  end
  line_up(list)
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
