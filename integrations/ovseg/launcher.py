"""``python -m integrations.ovseg SCRIPT ...`` (``opendas-ovseg``): OVSeg's own scripts, with an adapter if asked for.

The script runs in the checkout as ``python SCRIPT ...`` would run it there. The flags below are taken out of the
arguments wherever they stand, in front of OVSeg's ``opts`` or behind them; all others are the script's.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from integrations.ovseg import hook
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.finding import find_adapter, find_root
from integrations.ovseg.flags import add_adapter_flags
from integrations.ovseg.install import Installation, install

DONE, FAILED, BAD_USAGE = 0, 1, 2
PICTURE_SCRIPTS = ("demo.py", "web_demo.py")
"""Scripts of OVSeg that know no datasets."""
HOOK_COMMANDS = {"enable": hook.enable, "disable": hook.disable, "status": hook.status}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a script of OVSeg; returns 0 done, 1 failed (one line on stderr), 2 bad usage, or the script's own code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["evaluate"]:
        from integrations.ovseg import evaluate  # it needs the whole package

        return evaluate.main(arguments[1:])
    if arguments[:1] == ["convert"]:
        from integrations.ovseg import convert  # likewise

        return convert.main(arguments[1:])
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    asks_help = "-h" in rest or "--help" in rest
    if asks_help or not rest:
        print(parser.format_help(), file=sys.stdout if asks_help else sys.stderr, flush=True)
    if not rest:
        return BAD_USAGE
    if rest[0].startswith("-"):
        if asks_help:
            return DONE
        parser.error(f"expected a script such as train_net.py before {rest[0]}")
    _check_usage(parser, options, rest)
    try:
        if rest[0] in HOOK_COMMANDS and len(rest) == 1:
            print(HOOK_COMMANDS[rest[0]]())
            return DONE
        return run(rest[0], rest[1:], options)
    except OVSegError as error:
        return _fail(str(error), options.debug)
    except ModuleNotFoundError as error:
        name = (error.name or str(error)).partition(".")[0]
        return _fail(f"{rest[0]} needs {name}, which {sys.executable} lacks; install it there", options.debug)
    except Exception as error:
        from_worker = re.search(r"^\S*OVSegError: (.+)", str(error), re.MULTILINE)
        if from_worker is None:
            raise  # OVSeg's own failure, as OVSeg shows it
        return _fail(from_worker.group(1), options.debug)


def run(script: str, arguments: Sequence[str], options: argparse.Namespace) -> int:
    """Runs ``script`` with ``arguments`` in its checkout, patched as ``options`` say.

    Raises:
        OVSegError: there is no checkout, no such script, no detectron2, or the adapter cannot be used.
    """
    adapter = None if options.opendas_adapter is None else find_adapter(options.opendas_adapter)
    cache = _cache_folder(options.opendas_cache or "auto")
    dataset = None if options.opendas_dataset is None else Path(options.opendas_dataset).resolve()
    if options.ovseg_root is not None:  # as if it had been started there
        if not Path(options.ovseg_root).is_dir():
            raise OVSegError(f"{options.ovseg_root} does not exist; give --ovseg-root the folder of an OVSeg checkout")
        sys.path[:] = [str(Path(entry).resolve()) for entry in sys.path]  # they may be relative to where we are
        os.chdir(options.ovseg_root)
    path = Path(script).resolve()
    root = find_root(path)
    if not path.is_file():
        raise OVSegError(f"{path} does not exist; expected a script of OVSeg such as train_net.py")
    if dataset is not None and path.name in PICTURE_SCRIPTS:
        raise OVSegError(
            f"--opendas-dataset has no effect in {path.name}, which takes pictures as they come; leave it out"
        )
    settings = Installation(
        root=root,
        backend=options.clip_backend or "stock",
        adapter=adapter,
        base=options.opendas_base,
        text=options.opendas_text,
        chunk=options.opendas_chunk,
        cache=cache,
        cache_given=options.opendas_cache not in (None, "off"),
        dataset=dataset,
        host_fixes=not options.no_host_fixes,
    )
    sys.path[0] = str(path.parent)
    sys.path.append(str(hook.home()))  # spawned workers inherit the path, and must find this package
    install(settings)
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as leave:
        if leave.code is None or isinstance(leave.code, int):
            return leave.code or DONE
        print(leave.code, file=sys.stderr)
        return FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opendas-ovseg",
        usage="%(prog)s [OUR FLAGS] SCRIPT [ARGUMENTS OF SCRIPT]\n       %(prog)s evaluate --help\n"
        "       %(prog)s convert --help\n       %(prog)s enable | disable | status",
        description="Runs a script of an OVSeg checkout (train_net.py, demo.py, tools/web_demo.py), unmodified, with "
        "an OpenDAS adapter. Our flags may stand anywhere. `evaluate` scores OVSeg with and without one, `convert` "
        "makes label maps for it. `enable` lets `python train_net.py --clip-backend ...` do the same in this "
        "environment, `disable` takes that back.",
        add_help=False,  # --help is the script's too
        allow_abbrev=False,  # OVSeg's documentation abbreviates its own flags
    )
    texts = {
        "backend": "OVSeg's own CLIP (default), or CLIP with an adapter",
        "adapter": "the adapter; needed with --clip-backend opendas",
        "dataset": "JSON file that describes labelled images of yours; OVSeg then knows them, for DATASETS.TEST",
        "root": "the checkout to run in, as if started there (default: the one of the script, or the current folder)",
        "fixes": "run OVSeg without the fixes for current libraries and for its crashes",
    }
    add = parser.add_argument
    add("--clip-backend", choices=("stock", "opendas"), help=texts["backend"])
    add("--opendas-adapter", metavar="PATH_OR_HUB_ID", help=texts["adapter"])
    add_adapter_flags(parser)
    add("--opendas-dataset", metavar="FILE", help=texts["dataset"])
    add("--ovseg-root", metavar="DIR", help=texts["root"])
    add("--no-host-fixes", action="store_true", help=texts["fixes"])
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _check_usage(parser: argparse.ArgumentParser, options: argparse.Namespace, rest: Sequence[str]) -> None:
    unknown = [flag for flag in rest if re.match(r"--(opendas|clip-backend|ovseg)", flag)]
    if unknown:
        parser.error(f"unknown flag {unknown[0]}; see --help")
    if options.clip_backend == "opendas" and options.opendas_adapter is None:
        parser.error("--clip-backend opendas needs --opendas-adapter PATH_OR_HUB_ID")
    if options.clip_backend == "opendas":
        return
    idle = [name for name in ("adapter", "text", "chunk", "cache") if getattr(options, f"opendas_{name}") is not None]
    idle += ["base clip"] if options.opendas_base == "clip" else []
    if idle:
        parser.error(f"--opendas-{idle[0]} has no effect with the stock backend; add --clip-backend opendas")


def _cache_folder(value: str) -> Path | None:
    if value == "off":
        return None
    if value == "auto":
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opendas-plugin" / "ovseg"
    return Path(value).expanduser().resolve()


def _fail(message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return FAILED
