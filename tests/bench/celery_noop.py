"""Jobs that do nothing through Celery: how many go through in a second, and how long one takes when nothing else goes on.

`celery.sh` starts a worker of `app` and then this file.
"""

import os
import statistics
import time

import redis
from celery import Celery

BROKER = os.environ["BROKER"]
JOBS, HOPS, ROUNDS = 20_000, 200, 3

app = Celery("celery_noop", broker=BROKER)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=250, broker_connection_retry_on_startup=True)
store = redis.Redis.from_url(BROKER)


@app.task
def noop():
    pass


@app.task
def hop(sent):
    store.rpush("hops", time.time() - sent)


def wait_until_idle():
    while store.llen("celery") or store.hlen("unacked"):
        time.sleep(0.002)


def main():
    # The first jobs open connections.
    for _ in range(50):
        noop.delay()
    wait_until_idle()
    rates = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with app.producer_pool.acquire() as producer:
            for _ in range(JOBS):
                noop.apply_async(producer=producer)
        wait_until_idle()
        rates.append(JOBS / (time.perf_counter() - begun))
    for number in range(HOPS):
        hop.delay(time.time())
        while store.llen("hops") <= number:
            time.sleep(0.002)
    hops = sorted(float(value) * 1000 for value in store.lrange("hops", 0, -1))
    name, rate = "Celery, 2 processes", statistics.median(rates)
    print(f"{name:<34} {rate:>10.0f} {hops[len(hops) // 2]:>9.3f} ms {hops[int(len(hops) * 0.99)]:>9.3f} ms")


if __name__ == "__main__":
    main()
