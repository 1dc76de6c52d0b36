-- ARGV: pointer, job, not before, pushed at; and so on.
local at = now()
add(at, ARGV)
serve(at)
