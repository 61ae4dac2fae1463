"""``opendas-run``: any program that loads a CLIP, unmodified, with an adapter switched on."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from opendas_plugin.commands.common import BAD_USAGE, DONE, run_command
from opendas_plugin.errors import AdapterError

PROGRAM = "opendas-run"

logger = logging.getLogger("opendas_plugin.commands.run")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a program; returns its exit code, 1 where the adapter had no effect, 2 for bad usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    options = parser.parse_args(arguments)
    for flag, words in (("-m", options.module), ("-c", options.code)):
        options.program = [flag, *words] if words else options.program
    if not options.program:
        parser.print_usage(sys.stderr)
        print(f"{PROGRAM}: error: expected a program, such as script.py or -m module", file=sys.stderr)
        return BAD_USAGE
    code = DONE

    def work(_: list[str]) -> None:
        nonlocal code
        code = run(options)

    failed = run_command(work, ["--debug"] if options.debug else [])
    return code or failed


def run(options: argparse.Namespace) -> int:
    """Runs the program, and looks what its processes have noted.

    Returns:
        The program's exit code.

    Raises:
        AdapterError: it ended well, but the adapter had no effect, or not in all of its processes.
    """
    from opendas_plugin.switch.choice import Choice
    from opendas_plugin.switch.processes import Orders, command_of, read_reports

    features = None if options.features is None else Path(options.features).expanduser().resolve()
    switch = Choice.on(options.adapter, options.backbone_check, identity=options.identity, features=features)
    switch.kept.check()
    with tempfile.TemporaryDirectory(prefix="opendas-run-") as reports:
        kept = None if features is None else str(features)
        orders = Orders(str(switch.folder.resolve()), switch.check, switch.identity, kept, reports)
        code = subprocess.run(command_of(options.program), env=orders.environment(os.environ), check=False).returncode
        report = read_reports(Path(reports))
    if code:
        return code if code > 0 else 128 - code
    if not report.switched:
        switch.complain(report.passed)
    if report.lost:
        what = "a Python program was" if len(report.lost) == 1 else f"{len(report.lost)} Python programs were"
        message = (
            f"{what} started without the adapter, {report.lost[0]!r} first: the environment lacks PYTHONPATH or "
            "OPENDAS_SWITCH, or Python was told to ignore it (-I, -E, -S)"
        )
        if switch.check == "strict":
            raise AdapterError(f"{message}; let them have it, or give --backbone-check warn")
        logger.warning("%s", message)
    if report.switched:
        what = (
            "the switch was at work, with nothing of the adapter (identity),"
            if switch.identity
            else "the adapter was at work"
        )
        logger.info("%s for %s", what, ", ".join(report.switched))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --adapter A [flags] SCRIPT [ARGUMENTS]\n       {PROGRAM} --adapter A [flags] -m MODULE ...",
        description="Runs a Python program as `python SCRIPT ARGUMENTS` would. Where it loads the backbone that the "
        "adapter was learnt on, by open_clip.create_model and its kin or by clip.load of OpenAI's package, under any "
        "name, it gets the adapted model; other models stay as they are, and are said. So do its workers and the "
        "Python programs that it starts.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--adapter", required=True, metavar="A", help="the adapter: a folder or hub id")
    add(
        "--backbone-check",
        choices=("strict", "warn"),
        default="strict",
        help="what to do where the adapter had no effect, or a child was started without it: fail, or say so",
    )
    add(
        "--identity",
        action="store_true",
        help="switch all on with nothing learnt at work: figures are plain CLIP's",
    )
    add(
        "--features",
        metavar="DIR",
        help="where the features lie that LERF, HOV-SG and Open3DIS keep, a folder of this adapter alone; default: in "
        "the user's cache, by the adapter's hash",
    )
    add("--debug", action="store_true", help="show the traceback of an error")
    add("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE ...", help="run a module, as python -m does")
    add("-c", dest="code", nargs=argparse.REMAINDER, metavar="CODE ...", help="run a line of code, as python -c does")
    add("program", nargs=argparse.REMAINDER, help="the program and its arguments")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
