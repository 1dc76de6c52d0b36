"""Every importable module, without files.

At run time there is no file to import from. The modules that programs use most are imported into the snapshot. All others, of
the standard library and of the packages, stand in it as code objects, and a finder gives them when they are imported.
"""

import importlib
import importlib.machinery
import importlib.metadata
import importlib.resources
import io
import json
import marshal
import os
import sys
from importlib.resources.abc import Traversable, TraversableResources

IMPORTED = """
abc argparse array ast asyncio base64 binascii bisect calendar cmath cmd codecs collections collections.abc colorsys
configparser contextlib contextvars copy csv dataclasses datetime decimal difflib email email.message email.mime.text
email.utils encodings.idna enum errno fnmatch fractions functools gc getpass gettext glob graphlib gzip hashlib heapq hmac html
html.entities html.parser http http.client importlib.metadata importlib.resources inspect io ipaddress itertools json keyword
linecache locale logging marshal math mimetypes numbers operator os pathlib pickle pkgutil platform pprint queue quopri random
re reprlib secrets shlex shutil signal socket sqlite3 stat statistics string struct subprocess sys tempfile textwrap threading
time timeit tokenize tomllib traceback types typing unicodedata urllib.error urllib.parse urllib.request uuid warnings weakref
xml.dom.minidom xml.etree.ElementTree zipfile zlib zoneinfo
bs4 dateutil.parser dateutil.relativedelta dateutil.rrule dateutil.tz jinja2 jsonschema markdown markupsafe openpyxl tabulate
yaml
""".split()

# Not for programs: tests, tools with windows, and what installs packages.
LEFT_OUT = {"test", "tests", "__pycache__", "idlelib", "tkinter", "turtledemo", "turtle", "ensurepip", "venv", "pydoc_data",
            "site-packages", "config", "__phello__"}
OWN = {"stdlib", "loop", "packages", "guest"}

HERE = os.path.dirname(__file__)
USERS = "users.json"  # in the folder of the packages of users: which of their modules are imported into the snapshot

MODULES = {}  # name -> (is a package, marshaled code)
DATA = {}  # path -> content: the files that packages read
DISTRIBUTIONS = []  # the folders with what importlib.metadata tells


class Finder:
    """Finds what stands in MODULES, and reads the data of packages: a meta-path finder and loader."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        entry = MODULES.get(name)
        if entry is None:
            return None
        is_package, _ = entry
        origin = "/lib/" + name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        spec = importlib.machinery.ModuleSpec(name, Finder, origin=origin, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [origin.removesuffix("/__init__.py")]
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(Finder.get_code(module.__spec__.name), module.__dict__)

    @staticmethod
    def get_code(name):
        code = MODULES[name][1]
        if code is None:
            raise ImportError(f"`{name}` is imported already, and cannot be loaded anew")
        return marshal.loads(code)

    @staticmethod
    def is_package(name):
        return MODULES[name][0]

    @staticmethod
    def get_source(name):
        return None

    @staticmethod
    def get_data(path):
        try:
            return DATA[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    @staticmethod
    def get_resource_reader(name):
        return Resources(name) if MODULES[name][0] else None

    @staticmethod
    def find_distributions(context=importlib.metadata.DistributionFinder.Context()):
        for folder in DISTRIBUTIONS:
            found = Distribution(folder)
            if context.name is None or normal(context.name) == normal(found.name):
                yield found

    @staticmethod
    def invalidate_caches():
        pass


def normal(name):
    return name.lower().replace("_", "-").replace(".", "-")


class Distribution(importlib.metadata.Distribution):
    """What importlib.metadata tells of a package."""

    def __init__(self, folder):
        self.folder = folder

    def read_text(self, filename):
        content = DATA.get(f"/lib/{self.folder}/{filename}")
        return None if content is None else content.decode()

    def locate_file(self, path):
        raise FileNotFoundError(path)


class Path(Traversable):
    """A file or folder of DATA."""

    def __init__(self, path):
        self.path = path

    @property
    def name(self):
        return self.path.rpartition("/")[2]

    def is_file(self):
        return self.path in DATA

    def is_dir(self):
        return any(path.startswith(self.path + "/") for path in DATA)

    def iterdir(self):
        below = (path.removeprefix(self.path + "/") for path in DATA if path.startswith(self.path + "/"))
        return iter([Path(f"{self.path}/{name}") for name in sorted({path.partition("/")[0] for path in below})])

    def joinpath(self, *parts):
        return Path("/".join([self.path, *map(str, parts)]))

    def open(self, mode="r", **options):
        stream = io.BytesIO(Finder.get_data(self.path))
        return stream if "b" in mode else io.TextIOWrapper(stream, **options)


class Resources(TraversableResources):
    """The files of a package for importlib.resources."""

    def __init__(self, package):
        self.package = package

    def files(self):
        return Path("/lib/" + self.package.replace(".", "/"))


def collect(root, left_out):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in left_out)
        is_distribution = folder.endswith(".dist-info")
        if is_distribution:
            DISTRIBUTIONS.append(os.path.basename(folder))
        for file in sorted(files):
            path = os.path.join(folder, file)
            inner = os.path.relpath(path, root)
            if is_distribution and file not in ("METADATA", "entry_points.txt"):
                continue
            if file.endswith(".py"):
                add_module(path, inner[:-3].replace(os.sep, "."), left_out)
            elif os.sep in inner and not file.endswith((".pyc", ".so", ".pyi", ".pyx", ".typed", ".whl", ".exe")):
                with open(path, "rb") as stream:
                    DATA["/lib/" + inner.replace(os.sep, "/")] = stream.read()


def add_module(path, name, left_out):
    is_package = name.endswith(".__init__")
    name = name.removesuffix(".__init__")
    if name in MODULES or name in OWN or name.split(".")[0] in left_out:
        return
    with open(path, "rb") as stream:
        source = stream.read()
    try:
        code = compile(source, f"<lib>/{name}", "exec", dont_inherit=True, optimize=0)
    except SyntaxError:
        return  # templates and fixtures that only end in .py
    MODULES[name] = (is_package, marshal.dumps(code))


def collect_users(root):
    """Adds packages of users: with folders that are called tests, and packages of which only the folder is there."""
    known = set(MODULES)
    collect(root, {"__pycache__"})
    for name in set(MODULES) - known:
        while name := name.rpartition(".")[0]:
            MODULES.setdefault(name, (True, marshal.dumps(compile("", f"<lib>/{name}", "exec"))))
    with open(os.path.join(root, USERS)) as stream:
        return json.load(stream), set(MODULES) - known


def import_users(names, added):
    """Imports modules of users into the snapshot. What cannot be imported is left out, and told."""
    failed = {}
    for name in names:
        before = set(sys.modules)
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed[name] = f"{type(error).__name__}: {error}"
            for left in (set(sys.modules) - before) & added:
                del sys.modules[left]
    return failed


def seal():
    """Takes the files away: from here on only MODULES is there."""
    for name in IMPORTED:
        importlib.import_module(name)
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    # The finder of files would look for missing modules in folders that are not there.
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]
    failed = import_users(*OF_USERS)
    # What is imported already needs no second copy of its code.
    for name in sys.modules:
        if name in MODULES:
            MODULES[name] = (MODULES[name][0], None)
    tell(failed)


def tell(failed):
    """Tells the builder which modules the packages of users add, and which of these could not be imported."""
    with open(os.path.join(HERE, "told.json"), "w") as stream:
        json.dump({"modules": sorted(OF_USERS[1]), "failed": failed}, stream)


collect(os.path.dirname(json.__path__[0]), LEFT_OUT)
OF_USERS = (), set()
for entry in list(sys.path):
    if os.path.isdir(os.path.join(entry, "jinja2")):
        collect(entry, LEFT_OUT)
    elif os.path.isfile(os.path.join(entry, USERS)):  # it stands last
        OF_USERS = collect_users(entry)
sys.meta_path.insert(0, Finder)
