"""Kills a toy run at random moments and at the worst ones, lets it go on each time, and compares what comes out.

    python kill_and_resume.py FOLDER EPOCHS SEED

prints JSON: how often it was killed in each stage and at each of the chosen moments, and for every run whether adapter
and log are those of a run that was left alone, bit for bit. It is a process of its own because it forks: torch is
imported once, before any thread is started, and every attempt is a cheap child.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from toy import toy_clip, toy_config, toy_data

from opendas_plugin import files
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.train import loggers, state
from opendas_plugin.train.run import train

FOLDER, EPOCHS, SEED = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
DATA = toy_data(FOLDER / "data")
CONFIG = toy_config(FOLDER, EPOCHS, checkpoint_every=2)
CLIP = toy_clip(CONFIG)
NEGATIVES = NegativeDatabase({c: tuple(Negative(f"{c} {n}", "hand") for n in range(5)) for c in DATA.vocabulary.base})
RESULTS = ("adapter/adapter.safetensors", "adapter/adapter_config.json", "log.jsonl")


def attempt(run: Path, prepare: Callable[[], None], killed_after: tuple[int, float] | None = None) -> str:
    """Trains in a child; kills it after some steps and seconds, if asked to.

    Returns:
        The stage in which it was killed, or "" if it came to its end.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        report_steps(writing)
        prepare()
        train(CLIP, DATA, CONFIG, run, negatives=NEGATIVES, resume=True)
        CLIP.save_pretrained(run / "adapter")
        os._exit(0)
    os.close(writing)
    stages = b""
    while killed_after is None or len(stages) < killed_after[0]:
        if not (byte := os.read(reading, 1)):
            break
        stages += byte
    if killed_after is not None:
        time.sleep(killed_after[1])
        os.kill(child, signal.SIGKILL)
    while select.select([reading], [], [], 0)[0] and (byte := os.read(reading, 1)):
        stages += byte
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        return {b"v": "visual", b"t": "text", b"": "before"}[stages[-1:]]
    assert status == 0, "the child failed"
    return ""


def report_steps(pipe: int) -> None:
    """Lets the child write the first letter of the stage at every step."""
    add = loggers.StepLog.add

    def add_and_report(self, line, names, numbers) -> None:
        add(self, line, names, numbers)
        os.write(pipe, line["stage"][:1].encode())

    loggers.StepLog.add = add_and_report


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_half_way_through_a_checkpoint(number: int) -> Callable[[], None]:
    def prepare() -> None:
        write, calls = state.save_file, []

        def save_half(tensors, path, metadata) -> None:
            write(tensors, path, metadata)
            calls.append(path)
            if len(calls) == number:
                os.truncate(path, Path(path).stat().st_size // 2)
                die()

        state.save_file = save_half

    return prepare


def die_at_a_rename(number: int, before: bool) -> Callable[[], None]:
    """The number counts checkpoints; ``before``: the new one is complete beside the old one."""

    def prepare() -> None:
        rename, calls = os.replace, []

        def replace(source, target) -> None:
            calls.append(Path(target).name)
            last = calls.count(state.NAME) == number and calls[-1] == state.NAME
            if last and before:
                die()
            rename(source, target)
            if last:
                die()

        files.os.replace = replace

    return prepare


def same(run: Path, reference: Path) -> bool:
    return all((run / name).read_bytes() == (reference / name).read_bytes() for name in RESULTS)


def main() -> None:
    rng = random.Random(SEED)
    whole, killed = FOLDER / "whole", FOLDER / "killed"
    begin = time.monotonic()
    assert attempt(whole, lambda: None) == ""
    step_time = (time.monotonic() - begin) / (6 * EPOCHS)

    kills: Counter[str] = Counter()
    while stage := attempt(killed, lambda: None, (rng.randint(1, 6), rng.uniform(0, 2 * step_time))):
        kills[stage] += 1
    equal = {"random moments": same(killed, whole)}

    end_of_stage_1 = (3 * EPOCHS) // 2 + 2  # the first save is the run's beginning, the others are every second step
    moments = {
        "half way through a checkpoint": die_half_way_through_a_checkpoint(3),
        "before the rename": die_at_a_rename(3, before=True),
        "after the rename": die_at_a_rename(3, before=False),
        "between the stages": die_at_a_rename(end_of_stage_1, before=False),
        "before stage 1 is noted as done": die_at_a_rename(end_of_stage_1, before=True),
        "at the very first checkpoint": die_half_way_through_a_checkpoint(1),
    }
    for moment, prepare in moments.items():
        run = FOLDER / moment.replace(" ", "-")
        assert attempt(run, prepare) != "", moment
        assert attempt(run, lambda: None) == "", moment
        equal[moment] = same(run, whole) and not list(run.glob(".*.tmp"))
    print(json.dumps({"kills": kills, "equal": equal}))


if __name__ == "__main__":
    main()
