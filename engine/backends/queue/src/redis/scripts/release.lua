-- ARGV: id, pointer, job, not before, pushed at; and so on.
local at, list = now(), {}
for i = 1, #ARGV, 5 do
  if finish(ARGV[i]) then
    for part = i + 1, i + 4 do table.insert(list, ARGV[part]) end
  end
end
add(at, list)
serve(at)
