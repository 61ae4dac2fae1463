"""OVSeg's CLIP side for its first image: the checkout's own code against the plug-in's.

    OVSEG_ROOT=/path/to/ov-seg python benchmarks/ovseg_clip.py

It needs detectron2. Both sides run the same randomly initialised ViT-B/16, OVSeg's 14 templates and ADE20K's 150 names.
The times of ours are with an adapter of learnt tokens in both towers, which is more work; the differences are with
adapters that leave the compared tower alone, so that both sides compute the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from timing import describe, now

from integrations.ovseg import hostfixes, patch
from integrations.ovseg.patching import CPU_CHUNK
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

COMPARED = 25
"""Regions or names whose results are compared; all of them are timed."""
ADAPTERS = {"both": {}, "visual": {"text_tokens": 0}, "identity": {"text_tokens": 0, "visual_tokens": 0}}


def main() -> None:
    """Prints a table of the steps."""
    options = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        clip_adapter, names = build(Path(folder), options.names)
        image = torch.randint(0, 256, (3, options.height, options.width))
        mask = masks(options)
        device = torch.device("cpu")
        size = f"{options.height}x{options.width}"
        print(f"{describe(device)}; ViT-B/16, {options.masks} masks, {len(names)} names, {size}")
        print("| step | OVSeg, s | ours, s | ratio | largest difference |\n| --- | --- | --- | --- | --- |")
        total = [0.0, 0.0]
        for step, (work, same) in steps(clip_adapter, names, image, mask).items():
            repeats = 7 if step == "regions" else 1  # the others take long
            stock, expected = timed(work, repeats)
            with patch(clip_adapter, Path(folder) / "both") as handle, handle.regions_unread():
                ours, _ = timed(work, repeats)
            with patch(clip_adapter, Path(folder) / same, chunk=CPU_CHUNK):
                difference = (work(COMPARED) - expected[:COMPARED]).abs().max().item()
            total = [total[0] + stock, total[1] + ours]
            print(row(step, stock, ours, f"{difference:.2g}"), flush=True)
        print(row("first image", *total, ""))


def steps(clip_adapter, names, image, mask):
    """The three steps, and for each the adapter that leaves its result alone."""
    (regions, _), region_masks, _ = clip_adapter._preprocess_image(image, mask)

    def text(count=None):
        clip_adapter.text_feature_buffer = {}
        return clip_adapter._get_text_features(names[:count])

    return {
        "regions": (lambda count=None: clip_adapter._preprocess_image(image, mask[:count])[0][0], "identity"),
        "visual": (lambda n=None: clip_adapter.get_image_features(regions[:n], region_masks[:n]), "identity"),
        "text": (text, "visual"),
    }


def timed(work, repeats):
    """Median seconds of a call, and what it returned."""
    seconds = []
    for _ in range(repeats):
        start = now(torch.device("cpu"))
        result = work()
        seconds.append(now(torch.device("cpu")) - start)
    return statistics.median(seconds), result


def build(folder: Path, count: int):
    """OVSeg's CLIP adapter on random weights, adapters for them, and ADE20K's names."""
    hostfixes.fix_environment(checkout())
    file = str(folder / "clip.pt")
    random = OpenDASCLIP.from_backbone("ViT-B-16-quickgelu", prompts=None).model.state_dict()
    rounded = {name: tensor.half().float() for name, tensor in random.items()}  # as OpenAI's are; OVSeg rounds others
    torch.save(rounded, file)
    for name, prompts in ADAPTERS.items():
        OpenDASCLIP.from_backbone(file, prompts=PromptConfig(**prompts)).save_pretrained(folder / name)
    from detectron2.data.datasets.builtin_meta import ADE20K_SEM_SEG_CATEGORIES
    from open_vocab_seg.modeling.clip_adapter import MaskFormerClipAdapter, VILDPromptExtractor

    clip_adapter = MaskFormerClipAdapter(file, VILDPromptExtractor(), mask_prompt_depth=3, mask_prompt_fwd=True)
    return clip_adapter.eval(), [name.strip() for name in ADE20K_SEM_SEG_CATEGORIES[:count]]


def masks(options: argparse.Namespace) -> torch.Tensor:
    """Smooth random mask probabilities, as an untrained mask head's."""
    coarse = torch.randn(1, options.masks, options.height // 32, options.width // 32)
    size = (options.height, options.width)
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")[0].sigmoid()


def checkout() -> Path:
    """The folder of ``OVSEG_ROOT``, on the path."""
    root = Path(os.environ["OVSEG_ROOT"]).resolve()
    sys.path.insert(1, str(root))
    return root


def row(step: str, stock: float, ours: float, difference: str) -> str:
    """One line of the table."""
    return f"| {step} | {stock:.2f} | {ours:.2f} | {stock / ours:.1f}x | {difference} |"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--names", type=int, default=150, help="the first ones of ADE20K's")
    parser.add_argument("--height", type=int, default=640)
    parser.add_argument("--width", type=int, default=853)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
