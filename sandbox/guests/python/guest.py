"""The Python guest: what stands in the snapshot, and what a call does."""

import stdlib  # first: it makes every module importable without files

import array
import asyncio
import builtins
import gc
import io
import json
import linecache
import random
import sys
import traceback

import loop
import packages
import wit_world
from componentize_py_types import Err

CODE = "<code>"
NO_FILES = "the sandbox has no files and no network; pass data in the inputs, or use a node that fetches it"
# Only what a person reads: the host cuts these too.
MOST_TEXT = 16_000


def stream(descriptor):
    """A text stream that passes each line on when it ends: what is printed is not lost when a call is stopped."""
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


sys.stdin = io.StringIO()
STDOUT = sys.stdout = sys.__stdout__ = stream(1)
STDERR = sys.stderr = sys.__stderr__ = stream(2)


def run(script, code, inputs):
    for generator in GENERATORS:
        random.Random.seed(generator)
    sys.argv = [""]
    namespace = {"__name__": "__main__", "__builtins__": builtins}
    try:
        compiled = compile(code, CODE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Err(describe(error, code, "syntax"))
    try:
        exec(compiled, namespace)
        if script:
            return ""
        main = namespace.get("main")
        if not callable(main):
            raise Err(failure("main", message="the code defines no function `main`"))
        outputs = main(**json.loads(inputs))
        if asyncio.iscoroutine(outputs):
            outputs = asyncio.run(outputs)
    except Err:
        raise
    except BaseException as error:
        if script and isinstance(error, SystemExit) and not error.code:
            return ""
        raise Err(describe(error, code, "exception"))
    finally:
        STDOUT.flush()
        STDERR.flush()
    if outputs is None:
        return "{}"
    try:
        return encode(outputs)
    except BaseException as error:
        raise Err(failure("outputs", message=refused(outputs, error)))


# json.dumps makes an encoder for each call that asks for anything else than its defaults.
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def failure(kind, **told):
    return json.dumps({"kind": kind} | {name: value for name, value in told.items() if value is not None})


def describe(error, code, kind):
    """The failure that an exception is, with the frames of the user's code only."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        text = "an error that cannot be shown"
    name = type(error).__name__
    told = {"type": name, "message": text[:MOST_TEXT]}
    if isinstance(error, SystemExit):
        exit_code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        kind, told = "exit", {"message": f"the code ended with sys.exit({error.code!r})"[:MOST_TEXT], "exit_code": exit_code}
    elif isinstance(error, ModuleNotFoundError) and error.name:
        kind, told["module"] = "module", error.name
        told["message"] = f"no module `{error.name}`"
        told["hint"] = packages.hint(error.name)
    elif isinstance(error, MemoryError):
        kind = "memory"  # the host knows whether it was refused any
    elif isinstance(error, OSError):
        told["hint"] = NO_FILES
    linecache.cache[CODE] = (len(code), None, code.splitlines(keepends=True), CODE)
    try:
        told["line"] = line(error)
        told["traceback"] = "".join(shown(traceback.TracebackException.from_exception(error)).format())[-MOST_TEXT:]
    except (RecursionError, MemoryError):
        pass
    return failure(kind, **told)


def line(error):
    """The innermost line of the user's code."""
    if isinstance(error, SyntaxError) and error.filename == CODE:
        return error.lineno
    found, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == CODE:
            found = frame.tb_lineno
        frame = frame.tb_next
    return found


def shown(exception):
    """Takes the frames of the guest and of the standard library out, also from causes and contexts."""
    seen, rest = set(), [exception]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if frame.filename == CODE])
        rest += [one.__cause__, one.__context__, *(one.exceptions or ())]
    return exception


def refused(outputs, error):
    """Says which value cannot be JSON."""
    if not isinstance(error, (TypeError, ValueError)):
        return f"{type(error).__name__}: {error}"[:MOST_TEXT]
    rest = [("", outputs)]
    visited = 0
    while rest and visited < 100_000:
        path, value = rest.pop()
        visited += 1
        if isinstance(value, float) and value - value != 0:
            return f"{path or 'it'} is {value}, which JSON does not have"
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, (str, int, float, bool, type(None))):
                    return f"a key of {path or 'it'} is a {type(key).__name__}; JSON has texts as keys"
                rest.append((f"{path}.{key}" if path else str(key), item))
        elif isinstance(value, (list, tuple)):
            rest += ((f"{path}[{at}]", item) for at, item in enumerate(value))
        elif not isinstance(value, (str, int, float, bool, type(None))):
            return f"{path or 'it'} is a {type(value).__name__}, which JSON does not have"
    return str(error)[:MOST_TEXT]


def warm():
    """Does once what every call does, so that what it fills is in the snapshot, and leaves room on the heap."""
    run(False, "async def main(a):\n    return {'b': [a, 2.5, None, True, 'x']}", '{"a": {"c": [1, 2.5, null, true, "y"]}}')
    for code in ("def main(:", "import nothing", "def main():\n    return {'a': 1 / 0}"):
        try:
            run(False, code, "{}")
        except Err:
            pass
    linecache.cache.clear()
    room = [bytearray(1 << 20) for _ in range(8)]
    del room


# Marks the list of addresses for the builder of the guest, `src/fuse/image.rs`.
MARK = (0x8D5E1B03, 0xC2A7649F, 0x91F3D8E5, 0xB64C70A9)


def immortal():
    """Lists the address of every object. The builder makes them immortal: a call then counts no references to them, and so
    writes to none of their pages. They are kept alive until then by being listed."""
    objects = {id(thing): thing for thing in gc.get_objects()}
    rest = list(objects.values())
    while rest:
        for thing in gc.get_referents(rest.pop()):
            if id(thing) not in objects:
                objects[id(thing)] = thing
                rest.append(thing)
    return objects, array.array("I", [*MARK, len(objects), *objects])


loop.install()
packages.prepare()
stdlib.seal()
# Also those that packages made when they were imported: each call must have other numbers. `type` asks no object for its class.
GENERATORS = [
    thing
    for thing in gc.get_objects()
    if issubclass(type(thing), random.Random) and not issubclass(type(thing), random.SystemRandom)
]
warm()
gc.collect()
OBJECTS, ADDRESSES = immortal()
gc.freeze()


class WitWorld(wit_world.WitWorld):
    def run(self, script, code, inputs):
        return run(script, code, inputs)
