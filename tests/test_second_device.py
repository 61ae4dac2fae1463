"""What a GPU would run, on a second device that is pretended (:mod:`tests.pretend`): the figures of the CPU.

The hosts have a ``test_second_device.py`` in their own folders.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import socket
import traceback

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

import integrations.openmask3d.launcher
import opendas_plugin as opendas
from opendas_plugin import methods
from opendas_plugin.commands import (
    compare,
    evaluate,
    export_adapter,
    generate_negatives,
    segment,
    train_prompts,
    visualize,
)
from opendas_plugin.crops import PixelFormat
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig
from opendas_plugin.train.distributed import join
from opendas_plugin.train.objective import Objective
from tests import conftest
from tests.conftest import RANDOM, TINY, make_domain
from tests.data.tiny_sams import EVERY, make_sam
from tests.fuzz.inputs import make_features, make_masks
from tests.integrations.openmask3d.scenes import write_room
from tests.pretend import KIND, MixedDevicesError, pretend

ONE_EPOCH = {"batch_size": 4, "workers": 0, **{stage: {"epochs": 1} for stage in ("visual", "text", "joint")}}
RECIPE = "backbone: test-tiny\npretrained: random\nbatch_size: 4\nworkers: 0\n" + "".join(
    f"{stage}: {{epochs: 1}}\n" for stage in ("visual", "text", "joint")
)


@pytest.fixture
def device():
    with pretend() as found:
        yield found


@pytest.fixture
def block_names(domain):
    return json.loads((domain / "vocabulary.json").read_text())["names"]


@pytest.fixture
def adapters(tiny_backbone, tmp_path):
    """Adapters of tokens and of weights, away from where they start."""
    kinds = {
        "tokens": {"prompts": PromptConfig(visual_tokens=2, text_tokens=2)},
        "weights": {"weights": WeightConfig(visual="norm_bias+low_rank_mlp_out", text="low_rank", rank=1)},
    }
    for name, kind in kinds.items():
        clip = OpenDASCLIP.from_backbone(tiny_backbone, **kind)
        with torch.no_grad():
            for parameter in clip.prompt_parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
        clip.save_pretrained(tmp_path / name, method="opendas" if name == "tokens" else "opendas_plus")
    return tmp_path


def learn(domain, output, device, method="opendas", **more):
    """One epoch of a method's stages on the blocks."""
    settings = {"backbone": "test-tiny", "pretrained": "random", **ONE_EPOCH, **more}
    return opendas.adapt(domain, output, method=method, recipe="paper", device=str(device), **settings)


def name_masks(adapter, domain, names, device, **more):
    masks = np.zeros((3, 64, 96), bool)
    masks[0, 5:40, 5:40] = masks[1, 20:60, 50:90] = masks[2, :30, 30:60] = True
    labeller = opendas.Labeller(adapter, names, device=str(device), **more)
    return labeller(next((domain / "images").glob("*.png")), masks).cosines


def test_training_and_the_labeller_give_the_cpus_figures(device, domain, block_names, tiny_backbone, tmp_path):
    runs = {place: learn(domain, tmp_path / str(place), place) for place in ("cpu", device)}
    one, two = (load_file(run.adapter / "adapter.safetensors") for run in runs.values())
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    assert runs["cpu"].scores == runs[device].scores
    for pooling in ("crops", "dense"):
        found = [name_masks(runs["cpu"].adapter, domain, block_names, at, pooling=pooling) for at in runs]
        np.testing.assert_allclose(*found, atol=1e-6)


def test_checkpointed_training_gives_the_cpus_figures(device, domain, tiny_backbone, tmp_path):
    runs = [learn(domain, tmp_path / str(place), place, grad_checkpointing=True) for place in ("cpu", device)]
    one, two = (load_file(run.adapter / "adapter.safetensors") for run in runs)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    assert runs[0].scores == runs[1].scores


def normalise_by_statistics_of_the_cpu(self, crops):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
    return crops.permute(0, 3, 1, 2).float().div(255).sub(mean).div(std)


def test_statistics_left_on_the_cpu_are_caught(device, domain, block_names, adapters, monkeypatch):
    monkeypatch.setattr(PixelFormat, "normalise", normalise_by_statistics_of_the_cpu)
    name_masks(adapters / "tokens", domain, block_names, "cpu")
    with pytest.raises(MixedDevicesError, match="same device"):
        name_masks(adapters / "tokens", domain, block_names, device)


def test_labels_left_on_the_cpu_are_caught(device, domain, tiny_backbone, tmp_path, monkeypatch):
    own = Objective.forward

    def forward(self, batch, weight):
        return own(self, dataclasses.replace(batch, labels=batch.labels.cpu()), weight)

    monkeypatch.setattr(Objective, "forward", forward)
    learn(domain, tmp_path / "cpu", "cpu")
    with pytest.raises(MixedDevicesError, match="same device"):
        learn(domain, tmp_path / "there", device)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", methods.registry.BUILT_IN)
def test_every_method(device, domain, tiny_backbone, tmp_path, method, precision):
    runs = {
        place: learn(domain, tmp_path / str(place), place, method, precision=precision) for place in ("cpu", device)
    }
    assert runs["cpu"].scores["before"] == runs[device].scores["before"]
    logs = [(run.folder / "log.jsonl") for run in runs.values()]
    losses = [
        [json.loads(line)["loss"] for line in log.read_text().splitlines()] if log.exists() else [] for log in logs
    ]
    # losses rather than what is learnt: AdamW makes a whole step of a gradient that is rounding alone
    assert losses[0] == pytest.approx(losses[1], abs=1e-4 if precision == "fp32" else 5e-2)
    assert bool(losses[0]) == bool(methods.get(method).stages)
    for run in runs.values():
        learnt = load_file(run.adapter / "adapter.safetensors")
        assert all(values.dtype == torch.float32 and torch.isfinite(values).all() for values in learnt.values())


@pytest.mark.slow
@pytest.mark.parametrize("to", ["classifier", "open-clip", "transformers", "onnx"])
def test_exports(device, adapters, block_names, to):
    if to in ("transformers", "onnx"):
        pytest.importorskip(to)
    kind = "tokens" if to in ("classifier", "onnx") else "weights"
    for place in ("cpu", device):
        output = adapters / f"{place} {to}{'.safetensors' if to == 'classifier' else ''}"
        more = ("--names", ",".join(block_names)) if to == "classifier" else ()
        argv = ("--to", to, "--adapter", adapters / kind, "--output", output, "--device", place, *more)
        assert export_adapter.main([*map(str, argv)]) == 0
    files = [
        path for path in sorted(adapters.glob(f"cpu {to}*")) for path in [path, *path.rglob("*")] if path.is_file()
    ]
    for path in files:
        other = adapters / str(path.relative_to(adapters)).replace("cpu", str(device), 1)
        if path.suffix == ".safetensors":
            one, two = load_file(path), load_file(other)
            assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)
        elif path.suffix != ".json":
            assert path.stat().st_size == other.stat().st_size, path
    assert files


@pytest.mark.slow
def test_the_export_for_openais_clip(device, tmp_path):
    config = json.loads(json.dumps(TINY))
    config["vision_cfg"]["head_width"], config["text_cfg"]["width"], config["text_cfg"]["heads"] = 64, 64, 1
    (tmp_path / "test-openai.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "test-openai.json")
    weights = WeightConfig(visual="norm_bias", text="norm")
    OpenDASCLIP.from_backbone("test-openai", weights=weights).save_pretrained(tmp_path / "a", method="ln_bias")
    argv = ("--to", "openai-clip", "--adapter", tmp_path / "a", "--output", tmp_path / "clip.pt", "--device", device)
    assert export_adapter.main([*map(str, argv)]) == 0
    assert {tensor.device.type for tensor in torch.jit.load(tmp_path / "clip.pt").state_dict().values()} == {"cpu"}


@pytest.fixture
def run(device):
    """Runs a command on the CPU and on the device, and compares the figures in a file of its output."""

    def run(command, *argv, output, figures=None):
        found = []
        for place in ("cpu", device):
            own = output.with_name(f"{place}-{output.name}")
            assert command.main([*map(str, argv), "--output", str(own), "--device", str(place)]) == 0
            if figures:
                summary = json.loads((own / "summary.json").read_text())
                found.append([summary[name] for name in figures])
        if figures:
            assert found[0] == pytest.approx(found[1], abs=1e-6)

    return run


SCORES = ("acc", "w_f1", "n_segments")


@pytest.mark.slow
def test_evaluations(run, domain, adapters, tiny_backbone, tmp_path):
    classify = (evaluate, "classification", "--data", domain)
    model = ("--backbone", tiny_backbone, *RANDOM)
    for number, more in enumerate(
        [
            ("--adapter", adapters / "tokens"),
            ("--adapter", adapters / "weights"),
            ("--adapter", adapters / "tokens", "--zero-shot"),
            (*model, "--ensemble"),
            (*model, "--support", domain / "train.jsonl"),
        ]
    ):
        run(*classify, *more, output=tmp_path / f"c{number}", figures=SCORES)
    run(evaluate, "interpolation", "--data", domain, "--adapter", adapters / "weights", output=tmp_path / "i")
    (tmp_path / "masks").mkdir()
    make_masks(tmp_path / "masks")
    argv = (
        "--masks",
        "proposals.json",
        "--images",
        "images",
        "--ground-truth",
        "labels",
        "--vocabulary",
        "vocabulary.json",
    )
    argv = [word if word.startswith("--") else tmp_path / "masks" / word for word in argv]
    run(
        evaluate, "semantic", *argv, "--protocol", "detectron2", *model, output=tmp_path / "s", figures=("miou", "macc")
    )
    (tmp_path / "scenes").mkdir()
    make_features(tmp_path / "scenes")
    argv = ("--predictions", "predictions", "--ground-truth", "gt", "--classes", "classes.txt",
            "--features", "features", "--vocabulary", "vocabulary.json",
            "--instance-classes", "scored.txt")  # fmt: skip
    argv = [word if word.startswith("--") else tmp_path / "scenes" / word for word in argv]
    run(evaluate, "instance3d", *argv, "--protocol", "scannet", *model, output=tmp_path / "3d", figures=("ap", "ap50"))


@pytest.mark.slow
def test_other_commands(run, domain, adapters, block_names, tiny_backbone, tmp_path):
    model = ("--backbone", tiny_backbone, *RANDOM)
    photos = ("--images", domain / "images", "--names", ",".join(block_names), "--limit", "2")
    run(segment, *photos, "--superpixels", "8", *model, output=tmp_path / "s")
    run(segment, *photos, "--superpixels", "8", "--adapter", adapters / "weights", output=tmp_path / "t")
    run(generate_negatives, "--vocabulary", domain / "vocabulary.json", *model, output=tmp_path / "n.json")
    assert len({path.read_bytes() for path in tmp_path.glob("*-n.json")}) == 1
    write_room(tmp_path / "room")
    scene, masks = ("--scene", tmp_path / "room"), ("--masks", tmp_path / "room" / "room_masks.pt")
    clip = ("--clip", f"opendas:{adapters / 'tokens'}", "--crops", "adapter")
    run(integrations.openmask3d.launcher, "features", *scene, *masks, *clip, output=tmp_path / "room.npy")
    found = [np.load(path) for path in sorted(tmp_path.glob("*-room.npy"))]
    np.testing.assert_allclose(*found, atol=1e-6)
    asked = ("--features", tmp_path / "cpu-room.npy", "--adapter", adapters / "tokens", "--text", "a door")
    run(visualize, "query", *scene, *masks, *asked, output=tmp_path / "q")


@pytest.mark.slow
def test_sam_finds_masks_there(run, domain, tiny_backbone, tmp_path):
    pytest.importorskip("transformers")
    folder = make_sam(tmp_path / "sam")
    photos = ("--images", domain / "images", "--names", "a, b", "--limit", "1", "--masks", f"sam:{folder}", *EVERY)
    run(segment, *photos, "--backbone", tiny_backbone, *RANDOM, output=tmp_path / "s")
    one, two = (json.loads(path.read_text()) for path in sorted(tmp_path.glob("*-s/instances.json")))
    assert one["annotations"] and [a["segmentation"] for a in one["annotations"]] == [
        a["segmentation"] for a in two["annotations"]
    ]


@pytest.mark.slow
def test_training_goes_on_is_calibrated_and_compared(device, tmp_path, tiny_backbone, monkeypatch):
    monkeypatch.setattr(conftest, "NOVEL", conftest.NOVEL[:1])  # calibration leaves half of the names out
    make_domain(tmp_path / "blocks")
    (tmp_path / "quick.yaml").write_text(RECIPE)
    argv = ("--data", tmp_path / "blocks", "--recipe", tmp_path / "quick.yaml", "--device", device)
    out = ("--output-dir", tmp_path / "run")
    assert train_prompts.main([*map(str, (*argv, *out))]) == 0
    assert train_prompts.main([*map(str, (*argv, *out, "--resume"))]) == 0
    assert train_prompts.main([*map(str, (*argv, *out, "--resume", "--calibration-folds", "2"))]) == 0
    argv = ("--data", tmp_path / "blocks", "--backbone", tiny_backbone, *RANDOM, "--recipe", "clip", "--device", device,
            "--batch-size", "4", "--workers", "0", "--visual.epochs", "1", "--text.epochs", "1")  # fmt: skip
    assert train_prompts.main([*map(str, (*argv, "--output-dir", tmp_path / "clip"))]) == 0
    if pytest.importorskip("submitit"):
        argv = ("--data", tmp_path / "blocks", "--recipe", tmp_path / "quick.yaml", "--device", device, "--seeds", "1")
        argv = (*argv, "--methods", "zero_shot", "opendas", "--submitit", "debug", "--output", tmp_path / "compare")
        assert compare.main([*map(str, argv)]) == 0


@pytest.mark.slow
def test_models_that_stand_in_for_others(device, adapters, tiny_backbone, tmp_path):
    pixels, ids = torch.randn(2, 3, 32, 32), open_clip.tokenize(["a door", "a red desk"])
    found = []
    for place in ("cpu", device):
        model, _ = opendas.load(f"opendas:{adapters / 'tokens'}", str(place))
        with torch.no_grad():
            found.append([one.cpu() for one in model(pixels.to(place), ids.to(place))])
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(*found, strict=True))
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=3).model.state_dict(), tmp_path / "tiny.pt")
    clip = OpenDASCLIP.from_backbone(tiny_backbone, str(tmp_path / "tiny.pt"), prompts=PromptConfig(visual_tokens=2))
    clip.save_pretrained(tmp_path / "own")
    with opendas.switched_on(tmp_path / "own"):
        switched = open_clip.create_model(tiny_backbone, pretrained=str(tmp_path / "tiny.pt"), device=device)
    with torch.no_grad():
        there = switched.encode_image(pixels.to(device))
        assert there.device.type == KIND
        assert torch.allclose(there.cpu(), clip.encode_image(pixels), atol=1e-5)


def share(rank, port, answer):
    """Averages a gradient over two processes on the device, and sums and gathers tensors of it."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    try:
        with pretend() as device, join(device) as (world, place):
            torch.manual_seed(0)
            model = torch.nn.Linear(3, 2).to(place)
            ones = torch.ones(4, 3, device=place)
            shared = world.wrap(model)  # kept, since its hooks end with it
            shared(ones * (rank + 1)).sum().backward()
            values = [one.tolist() for one in world.gather(ones[0] * rank)]
            answer.put((place.type, model.weight.grad.tolist(), world.sum(ones[0] * (rank + 1)).tolist(), values))
    except BaseException:  # noqa: BLE001 (the test reads it)
        answer.put(traceback.format_exc())


@pytest.mark.slow
def test_two_processes_share_gradients_of_the_device():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    workers = [context.Process(target=share, args=(rank, port, answer)) for rank in range(2)]
    for worker in workers:
        worker.start()
    found = [answer.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert found[0] == found[1] == (KIND, [[6.0] * 3] * 2, [3.0] * 3, [[0.0] * 3, [1.0] * 3])
