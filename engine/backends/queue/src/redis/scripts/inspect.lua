-- What the node of this group says of itself.
return redis.call('INFO', 'server') .. redis.call('INFO', 'memory')
