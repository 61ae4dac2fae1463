"""Python programs in forks of one process that has the large packages imported, for tests that start many of them.

A start of torch takes seconds and a fork a fraction of one. Of what a program imports of ours, of a host and of a test
nothing is there before it; where it matters that Python itself starts, a test starts it. The process speaks JSON lines.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUN = subprocess.run
LARGE = ("torch.multiprocessing", "open_clip", "PIL.Image", "pycocotools.mask", "safetensors.torch", "tyro", "yaml")


class Forks:
    """The loaded process, as a context manager; :meth:`run` stands in for ``subprocess.run([sys.executable, ...])``."""

    def __enter__(self) -> Forks:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, *words: object, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs Python with the words behind its name, ``-m MODULE ...`` or a script; what it starts by the same means
        ``subprocess.run`` are forks, too."""
        job = {"words": list(map(str, words)), "cwd": str(cwd), "env": dict(env)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code, out, err = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(job["words"], code, out, err)


def fork(words: list[str], env: Mapping[str, str], out: int = 1, err: int = 2) -> int:
    """Runs Python in a fork with the words behind its name; returns the exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os._exit(become(words, env, out, err))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def become(words: list[str], env: Mapping[str, str], out: int, err: int) -> int:
    """Runs a program in this process as if it had just started with it; returns the exit code."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.environ.clear()
    os.environ.update(env)
    is_module = words[0] == "-m"
    first = str(Path.cwd()) if is_module else str(Path(words[0]).resolve().parent)
    sys.path[:] = [first, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *INSTALLED]
    sys.argv = words[1:] if is_module else words
    for name in [name for name, module in sys.modules.items() if is_ours(module)]:
        del sys.modules[name]
    subprocess.run = run_forked
    try:
        if is_module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as leave:
        if isinstance(leave.code, str):
            print(leave.code, file=sys.stderr)
            return 1
        return leave.code or 0
    except BaseException:  # noqa: BLE001  (as Python shows it)
        traceback.print_exc()
        return 1
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return 0


def is_ours(module: object) -> bool:
    """Whether a module lies in this repository, but for this one and what is installed in an environment in it."""
    file = getattr(module, "__file__", None)
    if file is None or Path(file) == Path(__file__) or Path(file).is_relative_to(sys.prefix):
        return False
    return Path(file).is_relative_to(ROOT)


def run_forked(command: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run``, a fork where a program starts Python with an environment and waits for it."""
    if command[0] != sys.executable or options.keys() != {"env"}:
        return RUN(command, **options)
    return subprocess.CompletedProcess(command, fork(list(map(str, command[1:])), **options))


def main() -> None:
    """Answers jobs until there are no more."""
    import torch

    torch.set_num_threads(1)
    for name in LARGE:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        os.chdir(job["cwd"])
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = fork(job["words"], job["env"], out.fileno(), err.fileno())
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read())
        answers.write(json.dumps([code, *texts]) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    INSTALLED = [entry for entry in sys.path if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    main()
