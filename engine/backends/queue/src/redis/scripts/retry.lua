-- ARGV: id of the dead letter, pointer, job, pushed at; and so on. Returns how many there were.
local at, list = now(), {}
for i = 1, #ARGV, 4 do
  if redis.call('XDEL', dead, ARGV[i]) == 1 then
    for _, part in ipairs({ ARGV[i + 1], ARGV[i + 2], 0, ARGV[i + 3] }) do table.insert(list, part) end
  end
end
add(at, list)
serve(at)
return #list / 4
