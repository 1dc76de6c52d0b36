#!/usr/bin/env bash
# task.sh TASK: prepares what the task needs, then runs `cargo xtask TASK`.
set -euo pipefail
. "$(dirname "$0")/common.sh"

need_component() { # cargo-fmt and cargo-clippy are there as soon as rustup is, also when the component is not
  "cargo-$1" --version >/dev/null 2>&1 && return 0
  say "installing the Rust component $2"
  rustup component add "$2"
}

need_nextest() {
  have cargo-nextest && return 0
  say "building cargo-nextest, once (about 5 minutes)"
  CARGO_TARGET_DIR="$cache/tools/build" cargo install -q --locked cargo-nextest --root "$cache/tools"
  rm -rf "$cache/tools/build"
}

need_pyyaml() { # LITEAGENT_PYTHON is the Python of the test that compares with PyYAML
  if python3 -c 'import yaml' >/dev/null 2>&1; then
    export LITEAGENT_PYTHON=python3
    return 0
  fi
  export LITEAGENT_PYTHON="$cache/python/bin/python"
  [ -x "$LITEAGENT_PYTHON" ] && "$LITEAGENT_PYTHON" -c 'import yaml' >/dev/null 2>&1 && return 0
  say "installing PyYAML into $cache/python"
  python3 -m venv "$cache/python"
  "$cache/python/bin/pip" install -q --disable-pip-version-check pyyaml
}

need_yaml_ls() { # LITEAGENT_YAML_LS is the language server of the tests that look at our schemas as an editor does
  local version=2.0.0 package="$cache/node/node_modules/yaml-language-server"
  export LITEAGENT_YAML_LS="$package/bin/yaml-language-server"
  grep -qs "\"version\": \"$version\"" "$package/package.json" && [ -f "$LITEAGENT_YAML_LS" ] && return 0
  say "installing yaml-language-server $version into $cache/node"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$cache/node" "yaml-language-server@$version"
}

need_clients() { # LITEAGENT_CLIENTS has the programs of others that tests let loose on the server
  local openai_python=3.57.0 openai_node=7.57.0 schemathesis=4.32.5
  export LITEAGENT_CLIENTS="$cache/clients"
  local wanted="$openai_python $openai_node $schemathesis" made="$LITEAGENT_CLIENTS/made-of"
  [ "$(cat "$made" 2>/dev/null)" = "$wanted" ] && return 0
  say "installing OpenAI's clients and schemathesis into $LITEAGENT_CLIENTS"
  python3 -m venv --clear "$LITEAGENT_CLIENTS/python"
  "$LITEAGENT_CLIENTS/python/bin/pip" install -q --disable-pip-version-check \
    "openai==$openai_python" "schemathesis==$schemathesis"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$LITEAGENT_CLIENTS/node" "openai@$openai_node"
  printf '%s\n' "$wanted" > "$made"
}

need_postgres() { # its programs are in no PATH
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need_packages no-server:postgresql
  [ -x /usr/sbin/pgbouncer ] || need_packages no-pooler:pgbouncer
}

need_rust
need_packages cc:build-essential curl:curl
case "$1" in
  check) need_component fmt rustfmt; need_component clippy clippy ;;
  test)
    need_component fmt rustfmt
    need_component clippy clippy
    need_packages node:nodejs npm:npm redis-server:redis-server openssl:openssl
    need_venv
    need_nextest
    need_pyyaml
    need_yaml_ls
    need_clients
    need_postgres
    ;;
  bench) need_packages node:nodejs redis-server:redis-server; need_venv; need_postgres ;;
esac
exec cargo xtask "$@"
