"""An event loop for asyncio that needs no sockets: it only has timers, and sleeps until the next."""

import asyncio
import time


class Selector:
    """Stands where a loop waits for sockets: here nothing else can happen than that time passes."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("the code waits for something that can never happen")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self):
        pass


class Loop(asyncio.BaseEventLoop):
    def __init__(self):
        super().__init__()
        self._selector = Selector()

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass  # there is no other thread that could wake it


class Policy(asyncio.events._BaseDefaultEventLoopPolicy):
    _loop_factory = Loop


def install():
    asyncio.events._event_loop_policy = Policy()
    asyncio.EventLoop = asyncio.SelectorEventLoop = Loop
