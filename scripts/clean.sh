#!/usr/bin/env bash
# Deletes what make built and downloaded, and the local runs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
rm -rf -- "$cache/target" "$cache/tools" "$cache/python" "$cache/guests" .liteagent/data liteagent
say "deleted $cache/{target,tools,python,guests}, .liteagent/data and ./liteagent"
