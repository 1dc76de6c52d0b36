#!/usr/bin/env bash
# Builds `liteagent`, runs an example on the Markdown files of this repository and one with code, fetches the local models, and
# starts the platform.
set -euo pipefail
. "$(dirname "$0")/common.sh"

need_rust
need_packages cc:build-essential
need_venv
binary="$CARGO_TARGET_DIR/debug/liteagent"
if [ ! -x "$binary" ] || [ ! -f "$cache/guests/python.wasm" ] || [ ! -d "$cache/models" ]; then
  say "1. build liteagent: about 500 crates, 100 MB to download, 8 minutes on two cores, 2.5 GB in $cache"
  say "2. run definitions/reports/markdown.yaml on the Markdown files of this folder"
  say "3. build the Python of the sandbox: 55 MB of wheels, 2 minutes, 120 MB in $cache/guests"
  say "4. run definitions/data/sales-by-month.yaml, whose nodes are Python and JavaScript"
  say "5. fetch two small models that run without a key: 177 MB, once, in $cache/models"
  say "6. start the platform: http://127.0.0.1:8000"
fi
start=$SECONDS
if [ -x "$binary" ]; then quiet=-q; else quiet=; fi
cargo build $quiet --locked -p liteagent # shows each crate the first time: a person waits
say "built ./liteagent in $((SECONDS - start)) s"
ln -sfn "$binary" liteagent

say "running: ./liteagent run definitions/reports/markdown.yaml"
./liteagent run definitions/reports/markdown.yaml
say
say "out/report.md begins:"
sed -n 1,16p out/report.md
say

start=$SECONDS
./liteagent sandbox build >&2 # says what it does; a moment once that was done
say "the sandbox is there after $((SECONDS - start)) s"
say "running: ./liteagent run definitions/data/sales-by-month.yaml --input csv=..."
csv=$'date,product,amount\n2026-01-15,Chair,120\n2026-01-20,Lamp,19.90\n2026-02-03,Lamp,19.90\n'
./liteagent run definitions/data/sales-by-month.yaml --input "csv=$csv"
say

# Compares what is there; a moment once it was fetched. Everything else works without.
./liteagent models pull >/dev/null || say "go on without local models; later: ./liteagent models pull"
say
./liteagent models list
say
say "talk to it: ./liteagent chat definitions/chat/assistant.yaml"
say "the platform starts; Ctrl-C stops it. A taken port: API_PORT=8001 make run"
exec ./liteagent serve --definitions definitions
