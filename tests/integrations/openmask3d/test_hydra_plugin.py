"""The hydra plug-in is light, reads on Python 3.8, and acts for ``opendas:`` names in OpenMask3D alone."""

from __future__ import annotations

import ast
import importlib.util
import sys
import types

import pytest

from integrations.openmask3d import install
from tests.integrations.openmask3d.conftest import ROOT

FILE = ROOT / "integrations" / "openmask3d" / "hydra_plugins" / "opendas_openmask3d" / "__init__.py"


@pytest.fixture
def plugin(monkeypatch):
    """The plug-in, where hydra is as much of hydra as it needs, and a list of what it installs."""
    for name in ("hydra", "hydra.core", "hydra.plugins"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, kind in (
        ("hydra.core.config_search_path", "ConfigSearchPath"),
        ("hydra.plugins.search_path_plugin", "SearchPathPlugin"),
    ):
        module = types.ModuleType(name)
        setattr(module, kind, type(kind, (), {}))
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("opendas_openmask3d", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    installed = []
    monkeypatch.setattr(install, "install", lambda arguments, features: installed.append((arguments, features)))
    return module.OpenDASPlugin(), installed


@pytest.mark.parametrize("host", [True, False])
@pytest.mark.parametrize("clip", ["opendas:runs/a", "ViT-L/14@336px"])
def test_it_acts_for_opendas_names_in_openmask3d_alone(plugin, monkeypatch, host, clip):
    instance, installed = plugin
    if host:
        monkeypatch.setitem(sys.modules, "openmask3d", types.ModuleType("openmask3d"))
    monkeypatch.setattr(sys, "argv", ["script.py", f"external.clip_model={clip}"])
    instance.manipulate_search_path(None)
    acts = host and clip.startswith("opendas:")
    assert installed == ([([f"external.clip_model={clip}"], True)] if acts else [])


def test_it_imports_hydra_alone_and_reads_on_python_3_8():
    tree = ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 8))
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in modules} == {"hydra"}
    assert [name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names] == [
        "pathlib",
        "sys",
    ]


def test_hydra_plugins_is_a_namespace():
    assert not (FILE.parent.parent / "__init__.py").exists()
