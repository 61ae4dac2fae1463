"""Runs commands in several processes that meet through gloo, as torchrun starts them; one start for all.

    python workers.py JOBS.json

A job is ``{"module", "argv", "workers", "kill"}``; ``kill``: the second worker ends itself, by a signal, in front of
its second piece of work, and the others are ended then. Each job's exit codes go to stdout as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch

from integrations.openmask3d import sharing
from opendas_plugin.data.reading import Journal
from opendas_plugin.model.checkpoint import build_backbone
from opendas_plugin.runs import segmentation, shared_cosines
from opendas_plugin.runs.parts import Parts

LARGE = ("matplotlib.backends.backend_agg", "skimage.segmentation", "trimesh", "typeguard")
"""What the commands import late: once here in place of once in each worker."""

shared_cosines.BATCHES = sharing.BATCHES = 1  # so that a few segments are many parts


def work(job, rank, port):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(job["workers"]))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if job["kill"] and rank == 1:
        for module, name in ((segmentation, "write_photo"), (Parts, "write"), (Journal, "keep")):
            setattr(module, name, killing(getattr(module, name)))
    sys.exit(importlib.import_module(job["module"]).main(job["argv"]))


def killing(write):
    calls = []

    def wrapped(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(*arguments, **named)

    return wrapped


def run(job):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(job, rank, port)) for rank in range(job["workers"])]
    for worker in workers:
        worker.start()
    while all(worker.exitcode is None or worker.exitcode == 0 for worker in workers):
        if all(worker.exitcode == 0 for worker in workers):
            break
        time.sleep(0.02)
    else:
        for worker in workers:
            worker.kill()
    for worker in workers:
        worker.join()
    return [worker.exitcode for worker in workers]


if __name__ == "__main__":
    torch.set_num_threads(1)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    build_backbone("office-tiny")  # the start of its table of tokens is kept
    for name in LARGE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for job in jobs:
        importlib.import_module(job["module"])
    print(json.dumps([run(job) for job in jobs]))
