"""Work in clean processes of its own, several at once; none of them outlives this process."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from tqdm import tqdm

from opendas_plugin.errors import TrainingError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


@dataclass(frozen=True)
class Task:
    """Something to do.

    Args:
        name: what an error calls it.
        work: does it; has to be picklable.
    """

    name: str
    work: Callable[[], object]


def run_in_processes(tasks: Iterable[Task], at_once: int, preload: str) -> None:
    """Does each task in a process of its own; the next one is taken when a place is free.

    An error, an interrupt or the end of this process, even a kill, ends those in progress.

    Args:
        tasks: what to do.
        at_once: how many at a time.
        preload: module that a process has imported when it starts, where the system can fork.

    Raises:
        TrainingError: a process was killed, such as for its memory.
        Exception: what a task raises.
    """
    context, tasks = _clean_processes(preload), iter(tasks)
    running: dict[Connection, tuple[Task, BaseProcess]] = {}
    try:
        while True:
            for task in itertools.islice(tasks, at_once - len(running)):
                answer, sender = context.Pipe(duplex=False)
                process = context.Process(target=_do, args=(task.work, sender, at_once > 1))
                running[answer] = task, process
                process.start()
                sender.close()  # so that the end of the process is the end of the pipe
            if not running:
                return
            wait(list(running))
            for answer in [one for one in running if one.poll()]:
                _end(answer, *running[answer])
                del running[answer]
    finally:
        for _, left in running.values():
            if left.pid is not None:  # it was started
                left.kill()
                left.join()


def _clean_processes(preload: str) -> ForkServerContext | SpawnContext:
    """Processes that have the module imported; where the system cannot fork, each imports it itself."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    return context


def _end(answer: Connection, task: Task, process: BaseProcess) -> None:
    """Waits for a process that has answered, or has ended without, and raises what it raised."""
    try:
        failure = answer.recv()
    except EOFError as end:
        raise TrainingError(f"{task.name} was killed, perhaps for want of memory; start again to go on") from end
    process.join()
    if failure is not None:
        error, where = failure
        raise error from _ElsewhereError(where)


class _ElsewhereError(Exception):
    """The traceback of an error in the process that raised it."""


def _do(work: Callable[[], object], answer: Connection, beside_others: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one answers, and ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # in place of one between processes, which a kill would leave behind
    if beside_others:
        sys.stderr = _NoTerminal(sys.stderr.buffer, line_buffering=True)
    try:
        work()
    except Exception as error:  # noqa: BLE001 (raised again by the process that waits)
        answer.send((_sendable(error), traceback.format_exc()))
    else:
        answer.send(None)


def _sendable(error: Exception) -> Exception:
    """The error, or where it would not arrive as it is what it says."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 (it is our own)
            return error
    except Exception:  # noqa: BLE001 (whatever a foreign error's own code raises)
        pass
    return TrainingError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


class _NoTerminal(io.TextIOWrapper):
    """Output without progress bars, which would overwrite each other."""

    def isatty(self) -> bool:
        return False
