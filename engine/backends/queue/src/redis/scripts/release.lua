-- ARGV: id, pointer, job, not before, pushed at; and so on.
local at = now()
for i = 1, #ARGV, 5 do
  if finish(ARGV[i]) then add(at, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]) end
end
serve(at)
