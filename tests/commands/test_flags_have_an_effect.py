"""Every flag of every command, in every kind of call: it is used, or refused as bad usage before anything is read."""

from __future__ import annotations

import dataclasses

import pytest

from opendas_plugin.commands.common import UsageError, parse, parse_subcommand
from opendas_plugin.commands.evaluate import KINDS
from opendas_plugin.commands.train_prompts import read_run
from opendas_plugin.runs.comparison import Compare
from opendas_plugin.runs.exports import Export
from opendas_plugin.runs.negatives import GenerateNegatives
from opendas_plugin.runs.queries import Query
from opendas_plugin.runs.segmentation import Segmentation

ALWAYS = {"report", "device", "workers", "debug", "images_root"}
MODEL = {"template", "background", "expand", "resize", "batch_size"}
"""What a model that crops looks at, however it is named."""
SCORED = {"protocol", "split", "base_from", "support"}
"""What every classification heeds."""
COMPARED = {
    "seeds",
    "recipe",
    "backbone",
    "pretrained",
    "tokenizer",
    "against",
    "hosts",
    "pictures",
    "crop_cache",
    "jobs",
}
"""What a comparison heeds, whatever its rows are and wherever they run."""
VALUES = {
    "adapter": ["adapter"], "backbone": ["office-tiny"], "pretrained": ["openai"], "backbone_seed": ["0"],
    "template": ["a {}"], "background": ["mean"], "expand": ["0.1"], "resize": ["squash"], "batch_size": ["64"],
    "split": ["val"], "base_from": ["v.json"], "steps": ["3"], "of": ["both"], "ignore": ["255"], "offset": ["0"],
    "prediction_offset": ["0"],
    "void": ["9"], "label_values": ["places"], "prediction_values": ["places"],
    "num_classes": ["3"], "seeds": ["3"], "against": ["vpt"], "pictures": ["4"],
    "jobs": ["1"], "ablate": ["stages"], "recipe": ["office"], "calibration_folds": ["0"], "best": ["5"],
    "depth_scale": ["1000"], "every": ["1"], "intrinsics": ["correct"], "names": ["a", "b"], "to": ["classifier"],
    "protocol": ["detectron2"], "classification protocol": ["coop"],
    "source": ["offline"], "timeout": ["60"], "retries": ["4"], "prices": ["1", "2"],
    "domain": ["rooms"], "base_url": ["http://localhost"], "methods": ["vpt"], "hosts": [], "text": ["a door"],
    "submitit": ["local"], "submitit_options": ["timeout_min=9"],
    "superpixels": ["9"], "exif": ["turned"], "unknown": ["0.5"], "limit": ["5"],
    "support_shots": ["5"], "support_seed": ["0"], "support_weight": ["0.2"],
    "model": ["gpt-4o"], "temperature": ["1"], "top_p": ["1"], "seed": ["0"], "max_tokens": ["9"],
    "precision": ["fp16"], "log_to": ["csv"],
}  # fmt: skip
"""A good value of each flag, mostly its default: giving a default is giving the flag. Others take a path."""


def evaluate(argv):
    return parse_subcommand(KINDS, argv, prog="x", description="")


def words(text):
    return text.split()


def command(kind):
    return lambda argv: parse(kind, argv, prog="x")


CALLS = {
    "classification, zero-shot": (
        evaluate,
        words("classification --data d --output o"),
        MODEL
        | {"adapter", "backbone", "pretrained", "tokenizer", "protocol", "split", "ensemble", "base_from", "support"},
    ),
    "classification, random weights": (
        evaluate,
        words("classification --data d --output o --backbone ViT-B-16 --pretrained random"),
        MODEL | SCORED | {"backbone_seed", "tokenizer", "ensemble"},
    ),
    "classification, adapter": (
        evaluate,
        words("classification --data d --output o --adapter a"),
        MODEL | SCORED | {"pretrained", "tokenizer", "calibrate", "zero_shot"},
    ),
    "semantic, predictions": (
        evaluate,
        words("semantic --predictions p --ground-truth g --output o --protocol ovseg --num-classes 3"),
        {"images", "beside", "ignore", "offset", "prediction_offset", "label_values", "prediction_values"},
    ),
    "semantic, masks": (
        evaluate,
        words("semantic --masks m --images i --ground-truth g --output o --protocol ovseg --vocabulary v"),
        MODEL | {"adapter", "backbone", "pretrained", "tokenizer", "ignore", "offset", "label_values"},
    ),
    "instance3d, files": (
        evaluate,
        words("instance3d --predictions p --ground-truth g --output o --protocol scannet --classes c"),
        {"beside", "instance_classes", "scenes", "vocabulary", "features", "void"},
    ),
    "instance3d, features": (
        evaluate,
        words("instance3d --predictions p --ground-truth g --output o --protocol scannet --classes c --features f"),
        {
            "beside",
            "instance_classes",
            "scenes",
            "vocabulary",
            "void",
            "oracle",
            "adapter",
            "backbone",
            "pretrained",
            "tokenizer",
            "template",
        },
    ),
    "interpolation": (
        evaluate,
        words("interpolation --data d --output o --adapter a"),
        MODEL | {"pretrained", "tokenizer", "of", "steps", "split"},
    ),
    "export, classifier": (
        command(Export),
        words("--to classifier --output o --names a b"),
        {"adapter", "backbone", "pretrained", "tokenizer", "template"},
    ),
    "export, OpenAI's format": (
        command(Export),
        words("--to openai-clip --output o"),
        {"adapter", "backbone", "pretrained", "tokenizer"},
    ),
    "export, transformers": (
        command(Export),
        words("--to transformers --output o"),
        {"adapter", "backbone", "pretrained", "tokenizer"},
    ),
    "export, graphs of both towers": (
        command(Export),
        words("--to onnx --output o"),
        {"adapter", "backbone", "pretrained", "tokenizer", "precision", "names"},
    ),
    "export, a graph of names": (
        command(Export),
        words("--to onnx --output o --names a b"),
        {"adapter", "backbone", "pretrained", "tokenizer", "precision", "template"},
    ),
    "query": (
        command(Query),
        words("--scene s --features f --text t --output o --masks m"),
        {"adapter", "backbone", "pretrained", "tokenizer", "best", "depth_scale", "every", "intrinsics", "force"},
    ),
    "segment, superpixels": (
        command(Segmentation),
        words("--images i --names a,b --output o"),
        MODEL | {"adapter", "backbone", "pretrained", "tokenizer", "superpixels", "masks", "unknown", "limit"},
    ),
    "segment, SAM": (
        command(Segmentation),
        words("--images i --names a,b --output o --masks sam:s"),
        MODEL | {"adapter", "backbone", "pretrained", "tokenizer", "unknown", "limit"},
    ),
    "segment, a folder of masks": (
        command(Segmentation),
        words("--images i --names a,b --output o --masks ."),
        MODEL | {"adapter", "backbone", "pretrained", "tokenizer", "exif", "unknown", "limit"},
    ),
    "negatives, offline": (
        command(GenerateNegatives),
        words("--vocabulary v --source offline"),
        {"output", "backbone", "pretrained", "tokenizer"},
    ),
    "train, training names": (
        read_run,
        words("--data d"),
        {"output_dir", "recipe", "start", "calibration_folds", "crop_cache", "resume", "log_to"},
    ),
    "train, related names": (
        read_run,
        words("--data d --triplet.mining hardest"),
        {
            "output_dir",
            "recipe",
            "start",
            "calibration_folds",
            "crop_cache",
            "resume",
            "log_to",
            "negatives",
            "drop_novel",
        },
    ),
    "train, augmented": (
        read_run,
        words("--data d --recipe paper"),
        {"output_dir", "start", "calibration_folds", "crop_cache", "resume", "log_to", "negatives", "drop_novel"},
    ),
    "compare, methods": (
        command(Compare),
        words("--data d --output o --methods vpt"),
        COMPARED | {"submitit"},
    ),
    "compare, by submitit": (
        command(Compare),
        words("--data d --output o --methods vpt --submitit local"),
        COMPARED | {"submitit_folder", "submitit_options"},
    ),
    "compare, an ablation": (
        command(Compare),
        words("--data d --output o --ablate stages"),
        COMPARED | {"submitit"},
    ),
}


def flags_of(run):
    """The names of a run's own settings; those of a recipe, which several methods share, are apart."""
    return [field.name for field in dataclasses.fields(run) if field.name not in ("config", "sampling", "sam")]


@pytest.mark.parametrize("call", CALLS)
def test_every_flag_is_used_or_refused(call):
    read, argv, used = CALLS[call]
    given = {word[2:].replace("-", "_") for word in argv if word.startswith("--")}
    run = read(argv)
    assert used <= set(flags_of(run)), "a flag that is gone"
    for name in sorted(set(flags_of(run)) - given - ALWAYS):
        kind = next(field for field in dataclasses.fields(run) if field.name == name)
        values = [] if kind.default is False else VALUES.get(f"{argv[0]} {name}", VALUES.get(name, ["path"]))
        flag = [*argv, f"--{name.replace('_', '-')}", *values]
        if name in used:
            read(flag)
        else:
            with pytest.raises(UsageError):
                read(flag)


def test_sams_flags_have_no_effect_on_other_masks():
    argv = ["--images", "i", "--names", "a,b", "--output", "o", "--sam.points-per-side", "8"]
    with pytest.raises(UsageError, match="`sam` has no effect without `masks` of SAM"):
        parse(Segmentation, argv, prog="x")
    assert parse(Segmentation, [*argv, "--masks", "sam:s"], prog="x").sam.points_per_side == 8


def test_the_flags_of_a_language_model_have_no_effect_on_names_found_offline():
    for flag in (["--model", "gpt-4o"], ["--temperature", "1"], ["--domain", "rooms"], ["--retries", "1"]):
        with pytest.raises(UsageError, match=r"has no effect unless a language model is asked, with the `source`"):
            parse(GenerateNegatives, ["--vocabulary", "v", *flag], prog="x")
        parse(GenerateNegatives, ["--vocabulary", "v", "--source", "openai", *flag], prog="x")
