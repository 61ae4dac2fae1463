"""Trains at toy size in the processes of torchrun, and in the first of them alone; run by test_distributed.py.

    torchrun --nproc_per_node 2 two_processes.py FOLDER

The first process writes ``FOLDER/result.safetensors``: for "two" and "one" processes and each stage the momentum after
step 1, which is the gradient plus the weight decay, and the prompts after 51 steps.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from toy import toy_clip, toy_config, toy_data

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.train.config import TripletConfig
from opendas_plugin.train.distributed import World, join
from opendas_plugin.train.stage import train_stage


def learn(clip: OpenDASCLIP, world: World, mining: str) -> dict[str, torch.Tensor]:
    config = toy_config(FOLDER, epochs=17, checkpoint_every=1, triplet=TripletConfig(mining=mining))
    results = {}
    for stage in ("visual", "text"):

        def save(step: int, remembered, stage=stage) -> None:
            if step == 1:
                results[f"{mining} {stage} step 1"] = remembered["0.momentum_buffer"].clone()

        train_stage(clip, DATA, config, stage, negatives=NEGATIVES, save=save, world=world)
        tokens = {"visual": clip.visual_prompts, "text": clip.text_prompts}[stage].tokens
        results[f"{mining} {stage} step 51"] = tokens.detach().clone()
    return results


FOLDER = Path(sys.argv[1])
with join(torch.device("cpu")) as (world, _):
    if world.writes:
        toy_data(FOLDER / "data")  # draws it
    world.wait()
    DATA = toy_data(FOLDER / "data")
    NEGATIVES = NegativeDatabase(
        {c: tuple(Negative(f"{c} {n}", "hand") for n in range(5)) for c in DATA.vocabulary.base}
    )
    clip = toy_clip(toy_config(FOLDER, epochs=1)).double()  # in fp32 the towers' rounding is as large as the tolerance
    results = {}
    for mining in ("hardest", "random"):
        results |= {f"two {k}": v for k, v in learn(copy.deepcopy(clip), world, mining).items()}
    assert world.size == 2
    if world.writes:
        for mining in ("hardest", "random"):
            results |= {f"one {k}": v for k, v in learn(copy.deepcopy(clip), World(), mining).items()}
        save_file(results, FOLDER / "result.safetensors")
