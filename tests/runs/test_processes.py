"""Work in processes of its own: how many at once, what an error does, and that none outlives the one that waits."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opendas_plugin.errors import DataError, TrainingError
from opendas_plugin.runs.processes import Task, run_in_processes

ROOT = Path(__file__).parents[2]
WORK = '''
import functools, os, time
from pathlib import Path

def note(folder, name):
    (folder / name).write_text(str(os.getpid()))

def meet(folder, name, other):
    """Ends when the other one has begun."""
    note(folder, name)
    while not (folder / other).exists():
        time.sleep(0.01)

def grow(folder, name):
    """Writes until it is stopped."""
    note(folder, name + ".pid")
    while True:
        with open(folder / name, "a") as file:
            file.write("x")
        time.sleep(0.01)

def fail(error):
    raise error

class Foreign(Exception):
    def __init__(self, place, why):
        super().__init__(f"{place}: {why}")

def fail_abroad():
    raise Foreign("here", "no room")

def end():
    os._exit(3)
'''
WAITS = """
import functools, signal, sys
from pathlib import Path
from opendas_plugin.runs.processes import Task, run_in_processes
import work_of_the_test as work

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    tasks = [Task(name, functools.partial(work.grow, Path(sys.argv[1]), name)) for name in ("a", "b")]
    run_in_processes(tasks, 2, preload="work_of_the_test")
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "work_of_the_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    import work_of_the_test

    yield work_of_the_test
    del sys.modules["work_of_the_test"]


def run(at_once, *tasks):
    run_in_processes((Task(f"task {n}", task) for n, task in enumerate(tasks)), at_once, preload="json")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_as_many_as_are_asked_for_run_at_once_each_in_a_process_of_its_own(work, tmp_path) -> None:
    part = functools.partial
    run(2, part(work.meet, tmp_path, "a", "b"), part(work.meet, tmp_path, "b", "a"), part(work.note, tmp_path, "c"))
    assert len({(tmp_path / name).read_text() for name in "abc"} | {str(os.getpid())}) == 4


def test_the_next_task_is_asked_for_when_a_place_is_free(work, tmp_path) -> None:
    def tasks():
        yield Task("first", functools.partial(work.note, tmp_path, "first"))
        assert (tmp_path / "first").exists()
        yield Task("second", functools.partial(work.note, tmp_path, "second"))

    run_in_processes(tasks(), 1, preload="json")
    assert (tmp_path / "second").exists()


def test_an_error_is_raised_here_and_ends_the_others(work, tmp_path) -> None:
    with pytest.raises(DataError, match=r"^no such picture$") as caught:
        run(2, functools.partial(work.grow, tmp_path, "a"), functools.partial(work.fail, DataError("no such picture")))
    assert "in fail" in str(caught.value.__cause__)  # where it was raised, for --debug
    if (tmp_path / "a.pid").exists():
        assert not alive(int((tmp_path / "a.pid").read_text()))


def test_an_error_that_cannot_be_sent_as_it_is_still_says_what_it_said(work) -> None:
    """It would have arrived as a TypeError of its own making, or as a process that was killed for want of memory."""
    with pytest.raises(TrainingError, match=r"^Foreign: here: no room$"):
        run(1, work.fail_abroad)


def test_a_process_that_ends_without_an_answer_is_named(work) -> None:
    with pytest.raises(TrainingError, match="task 0 was killed, perhaps for want of memory; start again to go on"):
        run(1, work.end)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
def test_no_process_outlives_the_one_that_waits(work, tmp_path, sent) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    command = [sys.executable, str(tmp_path / "waits.py"), str(tmp_path)]
    waiting = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    while not all((tmp_path / name).exists() for name in "ab"):
        assert waiting.poll() is None
        time.sleep(0.01)
    children = [int((tmp_path / f"{name}.pid").read_text()) for name in "ab"]
    waiting.send_signal(sent)  # to this one alone
    assert waiting.wait() != 0
    for _ in range(1000):
        if not any(alive(child) for child in children):
            return
        time.sleep(0.01)
    pytest.fail("a process goes on")
