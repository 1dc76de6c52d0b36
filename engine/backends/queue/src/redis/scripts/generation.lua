-- ARGV: a random text, kept when there is none.
redis.call('SET', born, ARGV[1], 'NX')
return redis.call('GET', born)
