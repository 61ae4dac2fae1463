"""Trains at toy size in two processes that meet as torchrun's do, and in the first alone; run by test_distributed.py.

    python two_processes.py FOLDER [--compile]

They are forks, which have torch imported. The first process writes ``FOLDER/result.safetensors``: for "two" and "one"
processes and each stage the momentum after step 1, which is the gradient plus the weight decay, and the prompts after
15 steps. With ``--compile`` the two processes run the image tower as torch.compile traced it; the one does not.
"""

from __future__ import annotations

import copy
import functools
import multiprocessing
import os
import socket
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch._dynamo.utils import counters
from toy import toy_clip, toy_config, toy_data

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.train.config import TripletConfig
from opendas_plugin.train.distributed import World, join
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.stage import train_stage


def learn(
    clip: OpenDASCLIP, world: World, mining: str, folder: Path, data: TrainingData, traced: bool = False
) -> dict[str, torch.Tensor]:
    config = toy_config(folder, epochs=5, checkpoint_every=1, triplet=TripletConfig(mining=mining), compile=traced)
    negatives = NegativeDatabase(
        {c: tuple(Negative(f"{c} {n}", "hand") for n in range(5)) for c in data.vocabulary.base}
    )
    results = {}
    for stage in ("visual", "text"):

        def save(step: int, remembered, stage=stage) -> None:
            if step == 1:
                results[f"{mining} {stage} step 1"] = remembered["0.momentum_buffer"].clone()

        train_stage(clip, data, config, stage, negatives=negatives, save=save, world=world)
        tokens = {"visual": clip.visual_prompts, "text": clip.text_prompts}[stage].tokens
        results[f"{mining} {stage} step 15"] = tokens.detach().clone()
    return results


def work(rank: int, port: int, folder: Path, traced: bool) -> None:
    if traced:
        torch.compile = functools.partial(torch.compile, backend="eager")
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    with join(torch.device("cpu")) as (world, _):
        if world.writes:
            toy_data(folder / "data")  # draws it
        world.wait()
        data = toy_data(folder / "data")
        clip = toy_clip(toy_config(folder, epochs=1)).double()  # in fp32 towers round by as much as the tolerance
        results = {}
        for mining in ("hardest", "random"):
            two = learn(copy.deepcopy(clip), world, mining, folder, data, traced)
            results |= {f"two {k}": v for k, v in two.items()}
        assert world.size == 2
        assert (counters["frames"]["ok"] > 0) == traced
        if world.writes:
            for mining in ("hardest", "random"):
                results |= {f"one {k}": v for k, v in learn(copy.deepcopy(clip), World(), mining, folder, data).items()}
            save_file(results, folder / "result.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=work, args=(rank, port, Path(sys.argv[1]), "--compile" in sys.argv)) for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(any(worker.exitcode for worker in workers))
