"""``python -m integrations.openmask3d SCRIPT ...`` (``opendas-openmask3d``): OpenMask3D's own scripts, with an adapter.

The script runs in the checkout as ``python SCRIPT ...`` would run it there. The flags below are taken out of the
arguments wherever they stand; all others are the script's.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from opendas_plugin.commands.common import BAD_USAGE, DONE, UsageError, run_command
from opendas_plugin.errors import MissingFileError

PROGRAM = "opendas-openmask3d"
OWN_COMMANDS = {"features": "commands", "scene": "commands", "check": "checking", "experiment": "experiment"}
"""A command of ours, and the module that has it."""

logger = logging.getLogger("integrations.openmask3d")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a script of OpenMask3D or a command of ours; returns 0 done, 1 failed, 2 bad usage, or the script's code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in OWN_COMMANDS:
        module = importlib.import_module(f"integrations.openmask3d.{OWN_COMMANDS[arguments[0]]}")
        return run_command(getattr(module, arguments[0]), arguments[1:])
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if not rest or rest[0] in ("-h", "--help"):
        parser.print_help(sys.stdout if rest else sys.stderr)
        return DONE if rest else BAD_USAGE
    return run_command(lambda _: run(rest[0], rest[1:], options), ["--debug"] if options.debug else [])


def run(script: str, arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Runs ``script`` with ``arguments`` in its checkout, patched as ``options`` say.

    Raises:
        UsageError: flags that the script has no use for.
        MissingFileError: there is no such script, or it lies in no checkout.
        OpenDASError: whatever else stands in the way of its work.
    """
    if options.openmask3d_root is not None:
        sys.path[:] = [str(Path(entry).resolve()) for entry in sys.path]  # they may be relative to where we are
        os.chdir(find_root(Path(options.openmask3d_root).resolve() / "x") / "openmask3d")
    path = Path(script).resolve()
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; expected a script of OpenMask3D, or --openmask3d-root DIR")
    root = find_root(path)
    computes = path.name.startswith("compute_features")
    if computes and options.clip_model is not None:
        raise UsageError("--clip-model is for evaluation and visualisation; here it is external.clip_model=NAME")
    sys.path[0] = str(path.parent)
    sys.path.insert(1, str(root))
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # hydra would end the process: errors are to reach us

    from integrations.openmask3d.install import install

    clips = install(arguments, features=computes, host_fixes=not options.no_host_fixes, clip_model=options.clip_model)
    sys.argv = [str(path), *_with_template(path, arguments, options.clip_model)]
    run_script(path, lambda names: _accept_any_width(names, clips))


def run_script(path: Path, patch: Callable[[dict[str, Any]], None]) -> None:
    """Runs a script as ``python`` does, and ``patch`` on its names between its definitions and its main block."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    module = ModuleType("__main__")
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    mains: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
    ]
    definitions: list[ast.stmt] = [node for node in tree.body if node not in mains]
    for body in (definitions, mains):
        exec(compile(ast.Module(body, tree.type_ignores), str(path), "exec"), module.__dict__)
        patch(module.__dict__)


def find_root(script: Path) -> Path:
    """Returns the checkout that a script lies in.

    Raises:
        MissingFileError: it lies in none.
    """
    for folder in script.parents:
        if (folder / "openmask3d" / "mask_features_computation").is_dir():
            return folder
    raise MissingFileError(
        f"{script.parent} lies in no checkout of OpenMask3D; start there, or name it with --openmask3d-root"
    )


def _with_template(path: Path, arguments: Sequence[str], clip_model: str | None) -> list[str]:
    """The evaluation's arguments with the adapter's text template, unless one is given."""
    from opendas_plugin.model.adapter import find_folder, read_config
    from opendas_plugin.model.config import PREFIX
    from opendas_plugin.model.loading import clip_name

    given = any(argument.split("=")[0] == "--sentence_structure" for argument in arguments)
    adapted = clip_model is not None and clip_name(clip_model).startswith(PREFIX)
    if given or clip_model is None or not adapted or not path.name.startswith("run_eval"):
        return list(arguments)
    template = read_config(find_folder(clip_model)).template
    logger.info("texts are those of the adapter's template %r; --sentence_structure changes it", template)
    return [*arguments, "--sentence_structure", template]


def _accept_any_width(names: dict[str, Any], clips: Any) -> None:
    """Lets the evaluation take the width of the CLIP that it has loaded; three names of CLIPs are written into it."""
    if "InstSegEvaluator" in names:
        names["InstSegEvaluator"].get_feature_size = lambda evaluator, name: clips.loaded.width


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"%(prog)s [OUR FLAGS] SCRIPT [ARGUMENTS OF SCRIPT]\n       %(prog)s {{{','.join(OWN_COMMANDS)}}} ...",
        description="Runs a script of an OpenMask3D checkout, unmodified, with an OpenDAS adapter: "
        "external.clip_model=opendas:ADAPTER where features are computed, --clip-model opendas:ADAPTER in evaluation "
        "and visualisation. `features` computes mask features without a checkout, `scene` makes a scene of RGB-D "
        "frames, `check` looks whether a scene's parts fit, `experiment` compares adapters with plain CLIP on the "
        "office domain; each has --help.",
        add_help=False,  # --help is the script's too
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--clip-model", metavar="NAME", help="the CLIP of evaluation and visualisation, where one is written into them")
    add("--openmask3d-root", metavar="DIR", help="the checkout to run in, as if started in its folder openmask3d")
    add("--no-host-fixes", action="store_true", help="run OpenMask3D without the fixes for current libraries")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser
