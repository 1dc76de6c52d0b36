#!/usr/bin/env bash
# How many runs of three nodes a server starts, executes durably and answers in a second: Debian's wrk beside it, on one and on 32
# connections. Usage: tests/bench/server.sh [BINARY]
set -euo pipefail
binary=$(realpath "${1:-target/release/liteagent}")
seconds=${SECONDS_EACH:-8}
port=${API_PORT:-18000}
folder=$(mktemp -d)
cd "$folder"
cat >three.yaml <<'YAML'
name: three
inputs: { n: integer }
nodes:
  a: { type: template-transform, template: "{{ inputs.n }}" }
  b: { type: template-transform, template: "{{ a.text }} b" }
  c: { type: template-transform, template: "{{ b.text }} c" }
outputs: { text: "{{ c.text }}" }
YAML
touch liteagent.toml log
"$binary" serve --port "$port" 2>log &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
until grep -q '^liteagent: http' log; do
  kill -0 "$server" || { cat log >&2; exit 3; }
  sleep 0.02
done
echo "idle: $(awk '/VmRSS/ { print $2 / 1024 " MiB" }' "/proc/$server/status")"
cat >post.lua <<LUA
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer $(cat .liteagent/dev-key)"
wrk.body = '{"workflow":"three","inputs":{"n":1}}'
LUA
for connections in 1 32; do
  echo "$connections connections:"
  wrk -t1 -c"$connections" -d"${seconds}s" --latency -s post.lua "http://127.0.0.1:$port/api/runs" |
    grep -E ' (50|99)%|Requests/sec|Non-2xx'
done
