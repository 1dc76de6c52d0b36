#!/usr/bin/env bash
# Builds `liteagent`, then runs an example on the Markdown files of this repository and shows its report.
set -euo pipefail
. "$(dirname "$0")/common.sh"

need_rust
need_packages cc:build-essential
binary="$CARGO_TARGET_DIR/debug/liteagent"
if [ ! -x "$binary" ]; then
  say "1. build liteagent: about 300 crates, 60 MB to download, 4 minutes on two cores, 1.5 GB in $cache"
  say "2. run definitions/reports/markdown.yaml on the Markdown files of this folder"
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
say "next: ./liteagent runs list | ./liteagent new hello | ./liteagent --help"
