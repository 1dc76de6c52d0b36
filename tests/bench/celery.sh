#!/usr/bin/env bash
# Jobs that do nothing through the queue on Redis and through Celery on Redis, one after the other on this machine: jobs a second,
# and how long one takes from push to handler. Needs redis-server and python3-venv. Usage: tests/bench/celery.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=$PWD/tests/bench
cargo bench --quiet --workspace --bench queue

folder=$(mktemp -d)
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install -q --disable-pip-version-check 'celery==5.5.3' 'redis==5.2.1'
port=$("$folder/python/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BROKER=redis://127.0.0.1:$port/0 PYTHONPATH=$bench PYTHONDONTWRITEBYTECODE=1
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$folder" >"$folder/redis.log" &
redis=$!
worker=
trap 'kill ${worker:+"$worker"} "$redis" 2>/dev/null; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
until grep -q 'Ready to accept connections' "$folder/redis.log"; do
  kill -0 "$redis" || { cat "$folder/redis.log" >&2; exit 3; }
  sleep 0.02
done
cd "$folder"
python/bin/celery -A celery_noop worker -c 2 --loglevel error >worker.log 2>&1 &
worker=$!
python/bin/python "$bench/celery_noop.py" || { cat worker.log >&2; exit 3; }
