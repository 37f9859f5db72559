"""Makes a component of a plugin's file: `python -m tidegate_sdk build big_orders.py -o big-orders.wasm`."""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).parent

# The module that componentize-py takes the exports from.
_COMPONENT = """
import {module}
from tidegate_sdk.guest import exports

globals().update(exports({name!r}, {version!r}, {module}.{plugin}))
"""


class BuildError(Exception):
    """What is wrong with a plugin's file, in words for its author."""


def build(source, output=None):
    """Builds the component of a file that holds one plugin, and gives back where it is."""
    source = Path(source).resolve()
    if not source.is_file():
        raise BuildError(f"there is no such file: {source}")
    if not source.stem.isidentifier():
        raise BuildError(f"{source.name}: a module's name has no dashes or dots; {source.stem.replace('-', '_')}.py is one")
    module = load(source)
    name, plugin = plugin_of(module)
    output = Path(output or source.with_name(source.stem.replace("_", "-") + ".wasm")).resolve()
    component = _COMPONENT.format(
        module=source.stem,
        name=source.stem.replace("_", "-"),
        version=getattr(module, "__version__", "0.0.0"),
        plugin=name,
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tidegate_component.py").write_text(component)
        made = Path(folder, "component.wasm")
        _componentize(plugin.__tidegate__.kind, [folder, source.parent, _PACKAGE.parent], made)
        output.parent.mkdir(parents=True, exist_ok=True)
        _replace(output, made.read_bytes())
    return output


def load(source):
    """Runs the file here, where what is wrong with it can be said with a traceback."""
    sys.path.insert(0, str(source.parent))
    sys.dont_write_bytecode = True
    return importlib.import_module(source.stem)


def plugin_of(module):
    """The one plugin that the file makes; one that it imports is not its own."""
    found = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and "__tidegate__" in getattr(value, "__dict__", ())
    }
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise BuildError(f"{module.__name__}.py: one file is one plugin: @filter, @enrich or @aggregate once; here: {names}")
    return found.popitem()


def _componentize(kind, folders, output):
    """Calls componentize-py, which makes the bindings of the interface as well."""
    try:
        importlib.import_module("componentize_py")
    except ImportError:
        raise BuildError("componentize-py is not there: `pip install` of this package brings it") from None
    paths = [part for folder in folders for part in ("-p", str(folder))]
    command = ["--wit-path", str(_PACKAGE / "wit"), "--world", f"{kind}-plugin", "--quiet", "componentize", "--stub-wasi"]
    done = subprocess.run(
        [sys.executable, "-c", "import componentize_py; componentize_py.script()", *command, *paths]
        + ["tidegate_component", "-o", str(output)],
        # A set of texts has the same order in every build.
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0 or not output.exists():
        raise BuildError(f"componentize-py failed:\n{done.stdout}")


def _replace(path, content):
    """As a whole: a pipeline that watches the file never sees half of it."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
