# Sourced by the other scripts: where things are kept, and what a machine must have.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache="${LITEAGENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/liteagent}"
mkdir -p "$cache"
export LITEAGENT_CACHE="$cache"
export CARGO_TARGET_DIR="$cache/target"
export CARGO_TERM_PROGRESS_WHEN="${CARGO_TERM_PROGRESS_WHEN:-auto}"
export PATH="$cache/tools/bin:$HOME/.cargo/bin:$PATH"

say() { printf '%s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# need_packages PROGRAM:PACKAGE...: installs the Debian packages of the programs that are missing.
# Asks for no password: without the right to install it says which line to run, and stops.
need_packages() {
  local missing=() pair
  for pair in "$@"; do
    have "${pair%%:*}" || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && have apt-get; then
    say "installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } >/dev/null
    return 0
  fi
  say "this needs: ${missing[*]}. Run this line, then the same make target again:"
  say "  sudo apt-get install -y ${missing[*]}"
  exit 2
}

# need_venv: what makes Python environments, which Debian packs by itself.
need_venv() {
  need_packages python3:python3
  python3 -c 'import ensurepip' >/dev/null 2>&1 || need_packages no-venv:python3-venv
}

need_rust() {
  if ! have cargo; then
    say "this needs Rust. Run this line, then the same make target again:"
    say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    exit 2
  fi
}
