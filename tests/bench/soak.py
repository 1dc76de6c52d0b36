#!/usr/bin/env python3
"""Ten minutes of everything at once against one server: runs that are waited for, streamed, begun and followed, webhooks, a
schedule, lists. Says each minute what the server needs, and at the end whether every run that was accepted is there and ended.

Usage: tests/bench/soak.py [BINARY] [MINUTES]
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/liteagent")
MINUTES = float(sys.argv[2]) if len(sys.argv) > 2 else 10
PORT = int(os.environ.get("API_PORT", "18001"))

WORKFLOWS = {
    "three.yaml": """
name: three
inputs: { n: integer }
nodes:
  a: { type: template-transform, template: "{{ inputs.n }}" }
  b: { type: template-transform, template: "{{ a.text }} b" }
  c: { type: template-transform, template: "{{ b.text }} c" }
outputs: { text: "{{ c.text }}" }
triggers:
  often: { cron: "*/10 * * * * *", inputs: { n: 10 } }
  hook: { webhook: { path: three, method: POST, auth: none, reply: wait }, inputs: { n: "{{ trigger.json.n }}" } }
""",
    "waits.yaml": """
name: waits
inputs: { n: integer }
nodes:
  rest: { type: wait, for: 200ms }
  say: { type: answer, needs: [rest], text: "waited {{ inputs.n }}" }
outputs: { n: "{{ inputs.n }}" }
""",
    "many.yaml": """
name: many
inputs: { n: integer }
nodes:
  each:
    type: iteration
    items: "{{ range(inputs.n) }}"
    nodes: { one: { type: template-transform, template: "{{ item * 2 }}" } }
    output: "{{ one.text }}"
outputs: { count: "{{ each.output | length }}" }
""",
}


class Counts:
    """What was done, by kind: how long each took, and what went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times, self.wrong, self.accepted = {}, [], []

    def done(self, kind, took, problem=None, run=None):
        with self.lock:
            self.times.setdefault(kind, []).append(took)
            if problem:
                self.wrong.append(f"{kind}: {problem}")
            if run:
                self.accepted.append(run)


def talk(key, counts, until, number):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(method, path, body=None):
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()

    def start(workflow, mode, n):
        return ask("POST", "/api/runs", {"workflow": workflow, "inputs": {"n": n}, "mode": mode})

    def waited():
        status, text = start("three", "wait", number)
        reply = json.loads(text)
        return None if reply.get("outputs") == {"text": f"{number} b c"} else f"{status} {text}", reply.get("id")

    def streamed():
        status, text = start("waits", "stream", number)
        return None if "event: end" in text and f"waited {number}" in text else f"{status} {text}", None

    def followed():
        status, text = start("many", "async", 20)
        if status != 202:
            return f"{status} {text}", None
        run = json.loads(text)["id"]
        status, text = ask("GET", f"/api/runs/{run}/events")
        return None if '"status":"succeeded"' in text else f"{status} {text}", run

    def hooked():
        status, text = ask("POST", "/hooks/three", {"n": number})
        return None if status == 200 and "b c" in text else f"{status} {text}", None

    def listed():
        status, text = ask("GET", "/api/runs?limit=20")
        return None if status == 200 and json.loads(text)["runs"] else f"{status} {text}", None

    while time.time() < until:
        for kind in (waited, streamed, followed, hooked, waited, listed):
            began = time.time()
            try:
                problem, run = kind()
            except OSError as error:
                problem, run = repr(error), None
                connection.close()
            counts.done(kind.__name__, time.time() - began, problem, run)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]) / 1024


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in WORKFLOWS.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text.lstrip())
        open(os.path.join(folder, "liteagent.toml"), "w").close()
        server = subprocess.Popen([BINARY, "serve", "--port", str(PORT)], cwd=folder, stderr=subprocess.PIPE, text=True)
        try:
            for line in server.stderr:
                if line.startswith("liteagent: http"):
                    break
            threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True).start()
            with open(os.path.join(folder, ".liteagent/dev-key")) as file:
                key = file.read().strip()
            soak(server, folder, key)
        finally:
            server.terminate()
            server.wait(60)


def soak(server, folder, key):
    counts, began = Counts(), time.time()
    until = began + MINUTES * 60
    talkers = [threading.Thread(target=talk, args=(key, counts, until, number)) for number in range(8)]
    for talker in talkers:
        talker.start()
    print("minute  requests  wrong  resident MiB  open files  database MiB")
    minute = 0
    while any(talker.is_alive() for talker in talkers):
        minute += 1
        for talker in talkers:
            talker.join(max(0, began + minute * 60 - time.time()))
        size = os.path.getsize(os.path.join(folder, ".liteagent/liteagent.db")) / 2**20
        files = len(os.listdir(f"/proc/{server.pid}/fd"))
        requests = sum(len(times) for times in counts.times.values())
        row = f"{requests:8}  {len(counts.wrong):5}  {resident(server.pid):12.0f}  {files:10}  {size:12.0f}"
        print(f"{minute:6}  {row}", flush=True)
    for kind, times in sorted(counts.times.items()):
        ends = statistics.quantiles(times, n=100)
        print(f"{kind}: {len(times)}, p50 {ends[49] * 1000:.1f} ms, p99 {ends[98] * 1000:.1f} ms")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    lost = 0
    for run in counts.accepted:
        connection.request("GET", f"/api/runs/{run}", headers={"Authorization": f"Bearer {key}"})
        lost += json.loads(connection.getresponse().read()).get("status") != "succeeded"
    print(f"{len(counts.accepted)} runs were accepted by id, {lost} of them are not there or did not succeed")
    for problem in counts.wrong[:5]:
        print(problem[:400])
    sys.exit(1 if lost or counts.wrong else 0)


main()
