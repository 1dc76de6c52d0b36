-- Returns ready, delayed, leased, dead, and the time of the oldest push or -1.
line_up_due(now())
local leased = pending()
local oldest = redis.call('ZRANGE', ages, 0, 0, 'WITHSCORES')
return {
  redis.call('ZCARD', order) + redis.call('XLEN', stream) - leased,
  redis.call('ZCARD', delayed),
  leased,
  redis.call('XLEN', dead),
  oldest[2] or '-1',
}
