#!/usr/bin/env bash
# Deletes what make built and downloaded, and the local runs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
rm -rf -- "$cache/target" "$cache/tools" "$cache/python" "$cache/node" .liteagent/data liteagent
say "deleted $cache/{target,tools,python,node}, .liteagent/data and ./liteagent"
