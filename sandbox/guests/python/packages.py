"""What packages need to work without files, and what is said of modules that are not there."""

import io
import zipfile

import openpyxl.worksheet._writer
import openpyxl.writer.excel

NATIVE = {"numpy", "pandas", "scipy", "sklearn", "matplotlib", "PIL", "cv2", "torch", "tensorflow", "lxml", "pydantic", "cryptography",
          "psycopg2", "polars", "pyarrow", "orjson", "_ctypes", "_ssl", "_bz2", "_lzma", "_curses", "_tkinter", "_multiprocessing"}
NETWORK = {"requests", "httpx", "aiohttp", "urllib3", "boto3", "redis", "openai", "anthropic"}
BUILT_IN = "beautifulsoup4, jinja2, jsonschema, markdown, openpyxl, python-dateutil, pyyaml and tabulate"


def hint(name):
    top = name.split(".")[0]
    if top in NATIVE:
        return f"`{top}` needs code of the machine, which the sandbox does not run; use another runtime for this node"
    if top in NETWORK:
        return f"`{top}` needs the network, which the sandbox does not have; use an `http-request` node"
    return f"the sandbox has the standard library, and {BUILT_IN}; `[sandbox] packages` in `liteagent.toml` adds others"


class Archive(zipfile.ZipFile):
    """An archive to which openpyxl can add a sheet that was written in memory."""

    def write(self, source, name):
        self.writestr(name, source.getvalue())


def prepare():
    # openpyxl writes each sheet to a temporary file before it goes into the archive.
    openpyxl.worksheet._writer.create_temporary_file = io.BytesIO
    openpyxl.worksheet._writer.WorksheetWriter.cleanup = lambda self: None
    openpyxl.writer.excel.ZipFile = Archive
