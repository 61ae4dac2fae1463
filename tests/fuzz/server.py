"""One process that has loaded everything, and forked children of it that run commands under a limit of memory.

A start costs seconds and a fork a fraction of one, so that a child serves many inputs; one that dies or hangs is
replaced. The process speaks JSON lines: a job ``{"command", "argv", "folder"}`` in, an :class:`Outcome` out.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOM = 2 * 2**30 - 2**20  # bytes of address space that a child may take beyond what it was born with
PATIENCE = 90  # seconds
INPUTS_A_CHILD = 100


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, or the signal that killed it as a negative number; and its standard error."""

    code: int
    stderr: str
    hung: bool = False


class Server:
    """The loaded process, as a context manager; :meth:`run` gives it a job."""

    def __enter__(self) -> Server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def run(self, command: str, argv: list[str], folder: Path, fresh: bool = False) -> Outcome:
        """Runs a command's main function in ``folder``; ``fresh``: in a child that has served nothing else."""
        job = {"command": command, "argv": argv, "folder": str(folder), "fresh": fresh}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the loaded process is gone")
        return Outcome(**json.loads(line))


def register_tiny() -> None:
    """Makes open_clip know the small model of the tests."""
    import open_clip

    from tests.conftest import TINY

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test-tiny.json"
        path.write_text(json.dumps(TINY))
        open_clip.add_model_config(path)


def commands():
    """Loads what the commands need, and returns their main functions."""
    import torch

    from opendas_plugin.commands import (
        evaluate,
        export_adapter,
        generate_negatives,
        prepare_data,
        segment,
        train_prompts,
    )
    from opendas_plugin.eval import canvas
    from opendas_plugin.model.adapted_clip import OpenDASCLIP

    torch.set_num_threads(1)
    register_tiny()
    canvas.available = lambda: False  # figures and pages take their time, and are tested elsewhere
    OpenDASCLIP.from_backbone("test-tiny").tokenize(["a"])
    return {
        "prepare": prepare_data.main,
        "segment": segment.main,
        "evaluate": evaluate.main,
        "train": train_prompts.main,
        "negatives": generate_negatives.main,
        "export": export_adapter.main,
    }


class Child:
    """A forked child that runs jobs until it dies."""

    def __init__(self, mains) -> None:
        ours, theirs = os.pipe(), os.pipe()
        self.served = 0
        self.pid = os.fork()
        if not self.pid:
            os.close(ours[1])
            os.close(theirs[0])
            try:
                _serve(mains, os.fdopen(ours[0]), os.fdopen(theirs[1], "w"))
            finally:
                os._exit(70)
        os.close(ours[0])
        os.close(theirs[1])
        self._jobs, self._results = os.fdopen(ours[1], "w"), os.fdopen(theirs[0])

    def run(self, job: dict, stderr: Path) -> Outcome:
        self.served += 1
        self._jobs.write(json.dumps({**job, "stderr": str(stderr)}) + "\n")
        self._jobs.flush()
        ready = select.select([self._results], [], [], PATIENCE)[0]
        line = self._results.readline() if ready else ""
        if line:
            return Outcome(json.loads(line), stderr.read_text(errors="replace"))
        status = self.end(wait=bool(ready))
        code = os.waitstatus_to_exitcode(status)
        return Outcome(code, stderr.read_text(errors="replace"), hung=not ready)

    def end(self, wait: bool = False) -> int:
        """Ends the child, with ``wait`` by its own hand if it is about to die; returns how it ended."""
        for _ in range(100 * wait):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.02)
        else:
            os.kill(self.pid, signal.SIGKILL)
            status = os.waitpid(self.pid, 0)[1]
        self._jobs.close()
        self._results.close()
        return status


def _serve(mains, jobs, results) -> None:
    born = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (born + ROOM, born + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    for line in jobs:
        job = json.loads(line)
        file = os.open(job["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(file, 2)
        os.close(file)
        os.chdir(job["folder"])
        try:
            code = mains[job["command"]](job["argv"])
        except BaseException:  # noqa: BLE001 - a command lets nothing through
            traceback.print_exc()
            code = 99
        sys.stderr.flush()
        results.write(json.dumps(code) + "\n")
        results.flush()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    mains = commands()
    child: Child | None = None
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            job = json.loads(line)
            if child is not None and (job["fresh"] or child.served >= INPUTS_A_CHILD):
                child.end()
                child = None
            child = child or Child(mains)
            outcome = child.run(job, Path(folder) / "stderr")
            if outcome.code < 0 or outcome.hung or outcome.code in (70, 99):
                if outcome.code == 99:
                    child.end()
                child = None
            answers.write(json.dumps(vars(outcome)) + "\n")
            answers.flush()
        if child is not None:
            child.end()


if __name__ == "__main__":
    main()
