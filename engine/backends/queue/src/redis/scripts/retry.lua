-- ARGV: id of the dead letter, pointer, job, pushed at; and so on. Returns how many there were.
local at, count = now(), 0
for i = 1, #ARGV, 4 do
  if redis.call('XDEL', dead, ARGV[i]) == 1 then
    add(at, ARGV[i + 1], ARGV[i + 2], 0, ARGV[i + 3])
    count = count + 1
  end
end
serve(at)
return count
