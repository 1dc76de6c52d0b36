-- ARGV: ids.
redis.call('XACK', stream, WORKERS, unpack(ARGV))
redis.call('XDEL', stream, unpack(ARGV))
