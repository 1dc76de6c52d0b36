#!/usr/bin/env python3
"""What it costs that another process executes a run: `liteagent serve` alone, then `liteagent server` with a worker.

    python3 tests/bench/hop.py target/release/liteagent [REQUESTS]

Needs Debian's `redis-server`. Each request starts a durable run of three nodes. `reply` is the time until the reply with its outputs,
`first event` the time until the first record that its owner wrote is streamed.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY = Path(sys.argv[1]).resolve()
REQUESTS = int(sys.argv[2]) if len(sys.argv) > 2 else 300

WORKFLOW = """\
name: hop
inputs: { who: string }
nodes:
  one: { type: template-transform, template: "Hello {{ inputs.who }}" }
  two: { type: template-transform, template: "{{ one.text }}!" }
  say: { type: answer, text: "{{ two.text }}" }
outputs: { text: "{{ say.text }}" }
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder, verb, settings, until):
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LITEAGENT_MIN_FREE": "0B", **settings}
    child = subprocess.Popen([BINARY, *verb], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if line.startswith(until):
            return child, line.strip()
    raise SystemExit(f"{verb} ended")


def timed(port, key, mode):
    took = []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(REQUESTS + 20):
        body = json.dumps({"workflow": "hop", "inputs": {"who": str(number)}, "mode": mode})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        begun = time.perf_counter()
        connection.request("POST", "/api/runs", body, headers)
        reply = connection.getresponse()
        if mode == "stream":
            while b'"run_taken"' not in reply.readline():
                pass
        took.append(time.perf_counter() - begun)
        text = reply.read()
        assert reply.status == 200, text
    took = sorted(took[20:])
    return f"p50 {took[len(took) // 2] * 1e3:6.2f} ms   p99 {took[len(took) * 99 // 100] * 1e3:6.2f} ms"


def measure(name, processes, settings):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "liteagent.toml").write_text("")
        (folder / "hop.yaml").write_text(WORKFLOW)
        children = []
        try:
            for verb, until in processes:
                child, line = start(folder, verb, settings, until)
                children.append(child)
                if until == "liteagent: ":
                    port = int(line.rsplit(":", 1)[1])
            key = (folder / ".liteagent/dev-key").read_text().strip()
            for mode, what in [("wait", "reply"), ("stream", "first event")]:
                print(f"{name:16} {what:12} {timed(port, key, mode)}", flush=True)
        finally:
            for child in children:
                child.kill()
                child.wait()


SERVE = (["serve", "--port", "0"], "liteagent: ")
SERVER = (["server", "--port", "0"], "liteagent: ")
WORKER = (["worker", "--port", "0"], "worker `")

redis_port = free_port()
with tempfile.TemporaryDirectory() as redis_folder:
    redis = subprocess.Popen(
        ["redis-server", "--port", str(redis_port), "--save", "", "--dir", redis_folder], stdout=subprocess.DEVNULL
    )
    try:
        measure("serve", [SERVE], {})
        measure("server, worker", [SERVER, WORKER], {"REDIS_URL": f"redis://127.0.0.1:{redis_port}"})
    finally:
        redis.kill()
        redis.wait()
