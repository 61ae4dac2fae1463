"""What the processes of a program note: those that were started without the switch, and no others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from opendas_plugin.switch.processes import Orders, read_reports

PROGRAM = """
import multiprocessing, os, subprocess, sys, time
child = [sys.executable, "-c", "pass"]
poor = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
spawn = multiprocessing.get_context("spawn")

def work():
    process = spawn.Process(target=time.sleep, args=(0,))
    process.start()
    process.join()

if __name__ == "__main__":
"""
FINE = {
    "a worker that is ended before it has begun": "pool = spawn.Pool(2); pool.terminate()",
    "workers that threads start": "from concurrent.futures import ThreadPoolExecutor as T; "
    "pool = T(3); [one.result() for one in [pool.submit(work) for _ in range(3)]]",
    "a fork": "work(); multiprocessing.get_context('fork').Process(target=work).start()",
    "a program in its place": "os.execv(sys.executable, child)",
    "a program that is looked for": "os.execvpe('sleep', ['sleep', '0'], poor)",
    "programs behind others": "subprocess.run(['timeout', '50', *child]); subprocess.run(['env', 'A=1', *child])",
    "Python by another word": "subprocess.run(['name', *child[1:]], executable=sys.executable)",
    "without files in common": "subprocess.run(child, close_fds=False)",
}
LOST = {
    "a worker": "os.environ['PYTHONPATH'] = 'elsewhere'; work()",
    "a program beside a worker that is not": "work(); subprocess.run(child, env=poor)",
    "a program in its place": "os.execve(sys.executable, child, poor)",
    "a program in its place that ignores the environment": "os.execv(sys.executable, [child[0], '-uI', *child[1:]])",
    "a program behind another": "subprocess.run(['env', '-u', 'PYTHONPATH', *child])",
    "Python by another word": "subprocess.run(['name', *child[1:]], executable=sys.executable, env=poor)",
    "a line of a shell beside a worker that is not": "work(); os.system('env -u PYTHONPATH python3 -c pass')",
}


def lost(code: str, folder) -> list[str]:
    (folder / "program.py").write_text(f"{PROGRAM}    {code}\n")
    (folder / "reports").mkdir()
    orders = Orders("none", "strict", False, None, str(folder / "reports"))
    subprocess.run([sys.executable, str(folder / "program.py")], check=True, env=orders.environment(os.environ))
    return read_reports(folder / "reports").lost


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell a process's ancestors")
@pytest.mark.parametrize("code", FINE.values(), ids=FINE)
def test_children_that_have_the_switch_are_not_said_to_lack_it(code, tmp_path) -> None:
    assert lost(code, tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell a process's ancestors")
@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_each_child_that_lacks_the_switch_is_noted(code, tmp_path) -> None:
    (command,) = lost(code, tmp_path)
    assert "pass" in command or "multiprocessing.spawn" in command


def test_a_child_that_outlives_its_program_is_switched_all_the_same(tmp_path) -> None:
    orders = Orders("none", "strict", False, None, str(tmp_path / "gone"))
    code = "import sys; assert sys._opendas_switch; from opendas_plugin.switch.calls import _active; assert _active"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=orders.environment(os.environ), check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
