-- ARGV: pointer, job, not before, pushed at; and so on.
local at = now()
for i = 1, #ARGV, 4 do add(at, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) end
serve(at)
