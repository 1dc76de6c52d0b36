#!/usr/bin/env python3
"""How an installation of many processes behaves on one machine: PostgreSQL and Redis from Debian's packages, one server, and workers.

  workers    runs per second with 1, 2 and 4 workers, and what a run costs the database and Redis
  queued     100,000 runs that are accepted before there is any worker, and then executed
  schedules  1,000 workflows with a schedule of every minute: how late they fire

Usage: tests/bench/scale.py BINARY [workers|queued|schedules]...
"""

import base64
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/liteagent")
WHAT = sys.argv[2:] or ["workers", "queued", "schedules"]
RUNS = int(os.environ.get("RUNS", "20000"))
QUEUED = int(os.environ.get("QUEUED", "100000"))
SCHEDULES = int(os.environ.get("SCHEDULES", "1000"))

THREE = """
name: three
inputs: { n: integer }
nodes:
  a: { type: template-transform, template: "{{ inputs.n }}" }
  b: { type: template-transform, template: "{{ a.text }} b" }
  c: { type: template-transform, template: "{{ b.text }} c" }
outputs: { text: "{{ c.text }}" }
"""
LIMITS = "[limits]\nwaiting = 1000000\n"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Installation:
    """A database, a Redis, and processes of ours; everything ends with it."""

    def __init__(self, workflows):
        self.folder = tempfile.mkdtemp(prefix="scale-", dir="/tmp")
        self.started = []
        os.mkdir(f"{self.folder}/workflows")
        for name, text in workflows.items():
            with open(f"{self.folder}/workflows/{name}.yaml", "w") as file:
                file.write(text)
        with open(f"{self.folder}/liteagent.toml", "w") as file:
            file.write(LIMITS)
        self.postgres()
        self.redis_port = free_port()
        self.start("redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder)
        self.port = free_port()
        self.env = dict(
            os.environ,
            DATABASE_URL=f"postgres://postgres@localhost/postgres?host={self.sockets}",
            REDIS_URL=f"redis://127.0.0.1:{self.redis_port}",
            LITEAGENT_DATA=f"{self.folder}/data",
            LITEAGENT_MIN_FREE="0B",
            LITEAGENT_ADMIN_EMAIL="ada@example.org",
            LITEAGENT_ADMIN_PASSWORD="several words that are hard to guess",
            SECRET_KEY=base64.b64encode(os.urandom(32)).decode(),
            JWT_SECRET=os.urandom(32).hex(),
            LITEAGENT_LOG_LEVEL="warn",
        )
        self.server = self.liteagent("server", "--definitions", "workflows", "--port", str(self.port),
                                     "--metrics-port", str(free_port()))
        self.until(lambda: self.ask("GET", "/health/ready")[0] == 200)
        who = {"email": self.env["LITEAGENT_ADMIN_EMAIL"], "password": self.env["LITEAGENT_ADMIN_PASSWORD"]}
        self.token = json.loads(self.ask("POST", "/api/auth/sign-in", who)[1])["access_token"]

    def postgres(self):
        """Its programs refuse to be run by root."""
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.sockets = f"{self.folder}/postgres"
        os.mkdir(self.sockets)
        self.user = []
        if os.geteuid() == 0:
            os.chmod(self.folder, 0o755)
            shutil.chown(self.sockets, "postgres", "postgres")
            self.user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
        data = f"{self.sockets}/data"
        subprocess.run([*self.user, f"{self.programs}/initdb", "-D", data, "-U", "postgres", "--auth=trust"], check=True,
                       stdout=subprocess.DEVNULL, cwd="/")
        self.start(*self.user, f"{self.programs}/postgres", "-D", data, "-k", self.sockets, "-c", "listen_addresses=",
                   "-c", "max_connections=200", "-c", "shared_buffers=256MB", cwd="/")
        self.until(lambda: self.sql("SELECT 1") == "1")

    def start(self, *command, **more):
        with open(f"{self.folder}/log", "a") as log:
            more.setdefault("cwd", self.folder)
            self.started.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more))
        return self.started[-1]

    def liteagent(self, *arguments):
        return self.start(BINARY, *arguments, env=self.env)

    def worker(self):
        return self.liteagent("worker", "--concurrency", "64", "--port", str(free_port()))

    def sql(self, statement):
        said = subprocess.run([f"{self.programs}/psql", "-XqAt", "-h", self.sockets, "-U", "postgres", "-c", statement],
                              capture_output=True, text=True)
        return said.stdout.strip()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body and json.dumps(body), self.headers())
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def headers(self):
        return {"Content-Type": "application/json", "Authorization": f"Bearer {getattr(self, 'token', '')}"}

    def begin(self, count, callers=8):
        """Begins so many runs; the seconds it took."""

        def call(many):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for number in range(many):
                body = json.dumps({"workflow": "three", "inputs": {"n": number}, "mode": "async"})
                connection.request("POST", "/api/runs", body, self.headers())
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 202, (answer.status, text)

        threads = [threading.Thread(target=call, args=(count // callers,)) for _ in range(callers)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    def ended(self):
        return int(self.sql("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL") or 0)

    def cost(self):
        """What was done so far: transactions of PostgreSQL, rows that it wrote, scripts and messages of Redis."""
        commits, rows = self.sql("SELECT xact_commit, tup_inserted + tup_updated + tup_deleted FROM pg_stat_database "
                                 "WHERE datname = 'postgres'").split("|")
        stats = subprocess.run(["redis-cli", "-p", str(self.redis_port), "INFO", "commandstats"], capture_output=True,
                               text=True).stdout
        calls = dict(re.findall(r"cmdstat_(\w+):calls=(\d+)", stats))
        return int(commits), int(rows), int(calls.get("evalsha", 0)), int(calls.get("publish", 0))

    def memory(self, process):
        with open(f"/proc/{process.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def until(self, holds, patience=1800):
        began = time.monotonic()
        while not holds():
            gone = next((process for process in self.started if process.poll() is not None), None)
            assert not gone, f"{gone.args} ended: {open(f'{self.folder}/log').read()[-4000:]}"
            assert time.monotonic() - began < patience, open(f"{self.folder}/log").read()[-4000:]
            time.sleep(0.1)

    def stop(self):
        for process in reversed(self.started):
            process.send_signal(signal.SIGINT)
        for process in self.started:
            process.wait()
        shutil.rmtree(self.folder)


def workers():
    for count in (1, 2, 4):
        installation = Installation({"three": THREE})
        try:
            for _ in range(count):
                installation.worker()
            installation.begin(800)
            installation.until(lambda: installation.ended() == 800)
            before = installation.cost()
            began = time.monotonic()
            installation.begin(RUNS)
            installation.until(lambda: installation.ended() == 800 + RUNS)
            seconds = time.monotonic() - began
            spent = [(after - was) / RUNS for after, was in zip(installation.cost(), before)]
            print(f"{count} workers: {RUNS / seconds:,.0f} runs/s; a run takes {spent[0]:.2f} transactions, {spent[1]:.1f} rows, "
                  f"{spent[2]:.2f} scripts and {spent[3]:.2f} messages of Redis")
        finally:
            installation.stop()


def queued():
    installation = Installation({"three": THREE})
    try:
        seconds = installation.begin(QUEUED)
        print(f"{QUEUED:,} runs accepted without a worker: {QUEUED / seconds:,.0f}/s; the server has "
              f"{installation.memory(installation.server):.0f} MiB, Redis "
              f"{installation.memory(installation.started[1]):.0f} MiB")
        _, text = installation.ask("GET", "/api/queues")
        print(f"the queues: {text.decode()[:400]}")
        began = time.monotonic()
        for _ in range(2):
            installation.worker()
        installation.until(lambda: installation.ended() == QUEUED)
        print(f"2 workers executed them in {time.monotonic() - began:.0f} s")
    finally:
        installation.stop()


def schedules():
    often = 'triggers:\n  often: { cron: "* * * * *", inputs: { n: 1 } }\n'
    installation = Installation({f"w{number:04}": THREE.replace("name: three", f"name: w{number:04}") + often
                                 for number in range(SCHEDULES)})
    try:
        installation.worker()
        installation.until(lambda: installation.ended() >= 3 * SCHEDULES)
        late = installation.sql("SELECT created_at % 60000 FROM runs WHERE trigger = 'schedule'").split()
        late = sorted(int(each) for each in late)
        print(f"{SCHEDULES:,} schedules of every minute: {len(late):,} runs began {statistics.median(late):.0f} ms late at the "
              f"median, {late[len(late) * 99 // 100]} ms at p99, {late[-1]} ms at most; the server has "
              f"{installation.memory(installation.server):.0f} MiB")
    finally:
        installation.stop()


for what in WHAT:
    {"workers": workers, "queued": queued, "schedules": schedules}[what]()
