#!/usr/bin/env bash
# Deletes what make built and downloaded, and the local runs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
rm -rf -- "$cache/target" "$cache/tools" "$cache/python" "$cache/node" "$cache/guests" "$cache/models" "$cache/peers" liteagent
find .liteagent -mindepth 1 ! -name '*.schema.json' -delete 2>/dev/null || true
say "deleted $cache/{target,tools,python,node,guests,models,peers}, the local runs and ./liteagent"
