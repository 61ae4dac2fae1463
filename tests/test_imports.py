"""The package's structure, read from its source: which parts may import which, and which one file knows what."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.setup_file import names, setup_arguments

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "opendas_plugin"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Each part may import the parts in the rows below its own, and nothing beside or above; `model` knows nothing of data.
LAYERS = (
    {"commands"},
    {"runs"},
    {"reports"},
    {"train", "eval", "readers"},
    {"labeller", "office", "switch"},
    {"classifier", "dense", "labels"},
    {"support"},
    {"methods"},
    {"negatives"},
    {"scenes"},
    {"data"},
    {"crops", "vocabulary", "model"},
    {"label_values"},
    {"names"},
    {"files", "stamps", "version"},
    {"errors", "wording"},
)
MODEL_KNOWS = {"model", "crops", "files", "version", "errors", "wording"}

# Optional or brittle dependencies, and the one file that knows each.
ONE_FILE = {
    "cv2": "scenes/fisheye.py",
    "open3d": "scenes/pointcloud.py",
    "openai": "negatives/language_model.py",
    "matplotlib": "eval/canvas.py",
    "jinja2": "reports/page.py",
    "onnx": "model/onnx_format.py",
    "onnxscript": "model/onnx_format.py",
    "embreex": "scenes/embree.py",
    "igl": "scenes/embree.py",
    "skimage": "data/superpixels.py",
    "submitit": "runs/cluster.py",
    "trackio": "train/trackers.py",
    "wandb": "train/trackers.py",
    "transformers": "data/sam.py model/transformers_view.py",  # one file for each use
}


@functools.cache
def imports(path):
    """(module, whether it is imported when the file is) for every import in a source file."""
    return list(find_imports(path))


def find_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or is_typing_block(outer)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node not in lazy) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((f"{node.module}.{name.name}", node not in lazy) for name in node.names)


def is_typing_block(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def own_imports(path):
    """The parts of the package that a file imports."""
    for module, _ in imports(path):
        first, *rest = module.split(".")
        if first == "opendas_plugin" and rest:
            yield rest[0]


def name_of(path):
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_down(path):
    own = part(path)
    if own == "__init__":  # the door: it gathers the public names
        return
    place = next((number for number, layer in enumerate(LAYERS) if own in layer), None)
    assert place is not None, f"{own} has no place in LAYERS"
    below = set().union(*LAYERS[place + 1 :])
    allowed = MODEL_KNOWS if own == "model" else below | {own}
    assert set(own_imports(path)) <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_in_the_package_imports_what_stands_on_it(path):
    outside = {module.split(".")[0] for module, _ in imports(path)}
    assert not outside & {"integrations", "tools", "tests", "benchmarks"}


@pytest.mark.parametrize("dependency", ONE_FILE)
def test_one_file_knows(dependency):
    users = {name_of(path) for path in SOURCES for module, _ in imports(path) if module.split(".")[0] == dependency}
    assert users <= {*ONE_FILE[dependency].split()}


def test_only_its_reader_and_its_own_runs_know_the_office():
    users = {name_of(path) for path in SOURCES if part(path) != "office" and "office" in own_imports(path)}
    assert users == {
        "readers/office.py",
        "runs/bench.py",
        "runs/bench_rows.py",
        "runs/bench_tables.py",
        "runs/office_bench.py",
        "runs/office_gates.py",
        "runs/office_tower.py",
    }


def test_one_folder_knows_the_inside_of_open_clips_towers():
    """Elsewhere open_clip is a library: models and tokenizers are made, loaded and called, not taken apart."""
    activation = r"(?! import QuickGELU\n)"  # an activation, not a tower
    inside = re.compile(rf"open_clip\.transformer{activation}|resblocks|in_proj_weight|attn_mask")
    users = {name_of(path) for path in SOURCES if inside.search(path.read_text(encoding="utf-8"))}
    assert users and all(name.startswith("model/towers/") for name in users)


def file_of(module):
    """The file of this repository that an imported name lies in, None for one of elsewhere."""
    for place in (module, module.rpartition(".")[0]):  # a module, or a name in one
        path = ROOT / place.replace(".", "/")
        found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if place and file.is_file()]
        if found:
            return found[0]
    return None


def circles(edges):
    """The sets of more than one node that all reach each other (Tarjan's strongly connected components)."""
    numbers, low, stack, found = {}, {}, [], []

    def visit(node):
        numbers[node] = low[node] = len(numbers)
        stack.append(node)
        for other in edges[node]:
            if other not in numbers:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == numbers[node]:
            place = stack.index(node)
            component = stack[place:]
            del stack[place:]
            found.append(component) if len(component) > 1 else None

    for node in edges:
        if node not in numbers:
            visit(node)
    return found


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({1: {2}, 2: {3}, 3: set()}, []),
        ({1: {2, 3}, 2: {3}, 3: set()}, []),
        ({1: {2}, 2: {3}, 3: {2}}, [{2, 3}]),
        ({1: {2}, 2: {1}, 3: {4, 1}, 4: {5}, 5: {3}}, [{1, 2}, {3, 4, 5}]),
    ],
)
def test_circles_are_found_where_there_are_any(edges, expected):
    assert sorted((set(circle) for circle in circles(edges)), key=min) == expected


def test_no_files_import_each_other_in_a_circle():
    """Inside a folder neither, nor for the sake of types alone."""
    files = [*SOURCES, *sorted((ROOT / "integrations").rglob("*.py"))]
    edges = {path: {file_of(module) for module, _ in imports(path)} & {*files} - {path} for path in files}
    found = [sorted(str(path.relative_to(ROOT)) for path in circle) for circle in circles(edges)]
    assert not found


@pytest.mark.parametrize(
    "dependency",
    [
        *("cv2", "embreex", "igl", "matplotlib", "onnx", "onnxscript", "open3d", "openai"),
        *("skimage", "torch.utils.tensorboard", "trackio", "transformers", "wandb"),
    ],
)
def test_optional_packages_are_imported_where_they_are_used(dependency):
    eager = {
        name_of(path)
        for path in SOURCES
        for module, at_import in imports(path)
        if at_import and (module == dependency or module.startswith(dependency + "."))
    }
    assert not eager


installed = functools.cache(importlib.metadata.packages_distributions)


def distributions(module):
    """The names that a module's package may have on PyPI."""
    top = module.split(".")[0]
    return {canonicalize_name(name) for name in installed().get(top, [top])}


def third_party(path):
    """(module, whether it is imported when the file is) for every import of others' code."""
    own = sys.stdlib_module_names | {"opendas_plugin"}
    return [(module, eager) for module, eager in imports(path) if module.split(".")[0] not in own]


def is_imported_late(path):
    """Whether other files import this one inside functions alone."""
    module = "opendas_plugin." + name_of(path).removesuffix(".py").replace("/", ".")
    users = [eager for other in SOURCES for name, eager in imports(other) if f"{name}.".startswith(f"{module}.")]
    return bool(users) and not any(users)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_a_file_imports_at_once_is_a_core_requirement(path):
    """But for files that are imported late themselves: what those need may be an extra's."""
    arguments = setup_arguments()
    allowed = names(arguments["install_requires"])
    if is_imported_late(path):
        allowed |= names(line for extra in arguments["extras_require"].values() for line in extra)
    assert [module for module, eager in third_party(path) if eager and not distributions(module) & allowed] == []


def test_every_core_requirement_is_imported_by_the_package():
    used = set().union(*(distributions(module) for path in SOURCES for module, _ in third_party(path)))
    assert names(setup_arguments()["install_requires"]) - used - {"libigl"} == set()  # libigl is imported as igl


def test_no_ray_caster_is_loaded_before_a_ray_is_cast():
    """Neither by the package nor by any command: the office domain and ScanNet++ alone need one."""
    names = [f"opendas_plugin.commands.{path.stem}" for path in (PACKAGE / "commands").glob("[!_]*.py")]
    code = f"""
import importlib, sys
sys.modules["embreex"] = sys.modules["igl"] = None
for name in {["opendas_plugin", *names]}: importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in SOURCES}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_tools_are_three_line_doors_to_a_command_of_their_name():
    for door in (ROOT / "tools").glob("*.py"):
        module = f"opendas_plugin.commands.{door.stem}"
        assert [name for name, _ in imports(door)] == [f"{module}.main"]
        assert len(ast.parse(door.read_text(encoding="utf-8")).body) == 3, "docstring, import, call"
