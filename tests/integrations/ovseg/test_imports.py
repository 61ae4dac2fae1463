"""What the OVSeg plug-in may be made of, so that it runs in the environment that OVSeg documents."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = ("convert.py", "evaluate.py", "inputs.py")
"""What runs in the environment of opendas_plugin instead."""
SOURCES = [path for path in (ROOT / "integrations" / "ovseg").rglob("*.py") if path.name not in HERE]
ALLOWED = {"torch", "numpy", "safetensors"}
HOST = {"open_vocab_seg", "detectron2", "huggingface_hub"}  # inside functions: they are there when these run


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_python_3_8_can_read_it(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_imports_torch_numpy_safetensors_and_the_standard_library_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {inner for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for inner in ast.walk(outer)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        else:
            continue
        for module in modules:
            package = module.partition(".")[0]
            own = module == "integrations.ovseg" or module.startswith("integrations.ovseg.")
            host = package in HOST and node in lazy
            assert own or host or package in ALLOWED or package in sys.stdlib_module_names, f"{path}: {module}"


def test_it_works_where_opendas_plugin_and_open_clip_are_not_installed():
    blocked = ["opendas_plugin", "open_clip", "huggingface_hub", "tyro", "yaml", "PIL"]
    code = f"""
import sys
for name in {blocked}: sys.modules[name] = None
import integrations.ovseg
from integrations.ovseg import adapter, cache, errors, finding, fitting, flags, hook, hostfixes, install, launcher
from integrations.ovseg import model, overwriting, patching, readers, regions, texts, tokens, watching, weights
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_importing_it_is_light():
    code = "import sys, integrations.ovseg, integrations.ovseg.hook; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
