"""Finds, inspects and unpacks wheels for the guest, on any machine: `wheels.py COMMAND ARGUMENTS`."""

import json
import os
import re
import sys
import zipfile
from email.parser import BytesParser

from pip._vendor.packaging import markers
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename

# What the guest is. Conditions of packages are read as they hold there: pip would read them as they hold on this machine.
GUEST = {
    "implementation_name": "cpython",
    "implementation_version": "3.14.0",
    "os_name": "posix",
    "platform_machine": "wasm32",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "wasi",
    "platform_version": "",
    "python_full_version": "3.14.0",
    "python_version": "3.14",
    "sys_platform": "wasi",
}
markers.default_environment = lambda: dict(GUEST)

NATIVE = re.compile(r"\.(pyd|dylib|dll|so(\.[\d.]+)?)$")


class Wheel:
    """What a wheel says of itself."""

    def __init__(self, path):
        name, self.version, _, _ = parse_wheel_filename(os.path.basename(path))
        self.path, self.name = path, str(name)
        with zipfile.ZipFile(path) as archive:
            self.files = {info.filename: unpacked(info.filename) for info in archive.infolist() if not info.is_dir()}
            about = next(file for file in self.files if re.fullmatch(r"[^/]+\.dist-info/METADATA", file))
            self.metadata = archive.read(about)
        needs = BytesParser().parsebytes(self.metadata, headersonly=True).get_all("Requires-Dist", [])
        self.needs = [Requirement(need) for need in needs]

    def natives(self):
        return sorted(file for file in self.files if NATIVE.search(file))

    def modules(self):
        """The top-level modules."""
        paths = [path for path in self.files.values() if path and path.endswith(".py")]
        names = {path.split("/")[0].removesuffix(".py") for path in paths}
        return sorted(name for name in names if name.isidentifier())


def unpacked(path):
    """Where a file of a wheel belongs below the folder of packages; `None` for scripts and the like."""
    first, _, rest = path.partition("/")
    if not first.endswith(".data"):
        return path
    scheme, _, rest = rest.partition("/")
    return rest if scheme in ("purelib", "platlib") else None


def pip(*arguments):
    from pip._internal.cli.main import main

    sys.exit(main(list(arguments)))


def shadow(folder, *paths):
    """Writes for each wheel one without content, for any machine: pip resolves with it what is in the guest already."""
    for wheel in map(Wheel, paths):
        stem = f"{wheel.name.replace('-', '_')}-{wheel.version}"
        tag = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(os.path.join(folder, f"{stem}-py3-none-any.whl"), "w") as archive:
            for name, content in (("METADATA", wheel.metadata), ("WHEEL", tag), ("RECORD", b"")):
                archive.writestr(f"{stem}.dist-info/{name}", content)


def inspect(wanted, built_in, users):
    """Says of the wheels of users what they hold and what they lack; lists of texts come as JSON."""
    built_in = {wheel.name: wheel for wheel in map(Wheel, json.loads(built_in))}
    users = {wheel.name: wheel for wheel in map(Wheel, json.loads(users))}
    wheels, unmet, reached = users | built_in, [], set()
    rest = [(canonicalize_name(name), "") for name in json.loads(wanted)]
    while rest:
        name, extra = rest.pop()
        if (name, extra) in reached:
            continue
        reached.add((name, extra))
        wheel = wheels[name]
        for need in wheel.needs:
            if need.marker and not need.marker.evaluate({"extra": extra}):
                continue
            needed = wheels.get(canonicalize_name(need.name))
            if needed is None:
                unmet.append(f"`{name}` {wheel.version} needs `{need.name}{need.specifier}`, which is not locked")
            elif not need.specifier.contains(needed.version, prereleases=True):
                place = "the sandbox has" if needed.name in built_in else "locked is"
                unmet.append(f"`{name}` {wheel.version} needs `{need.name}{need.specifier}`; {place} {needed.version}")
            else:
                rest += [(needed.name, extra) for extra in ("", *need.extras)]
    names = {name for name, _ in reached}
    found = {
        "natives": {name: wheel.natives() for name, wheel in users.items() if wheel.natives()},
        "modules": {name: wheel.modules() for name, wheel in users.items()},
        "unmet": sorted(set(unmet)),
        "unneeded": sorted(set(users) - names),
    }
    print(json.dumps(found))


def unpack(folder, *paths):
    """Unpacks wheels, without code for machines: what has such code only to be faster goes on in Python."""
    for wheel in map(Wheel, paths):
        with zipfile.ZipFile(wheel.path) as archive:
            for info in archive.infolist():
                place = wheel.files.get(info.filename)
                if place and not NATIVE.search(place):
                    info.filename = place
                    archive.extract(info, folder)


if __name__ == "__main__":
    {"pip": pip, "shadow": shadow, "inspect": inspect, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
