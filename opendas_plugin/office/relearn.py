"""How a tiny CLIP gets a new text tower: ``python -m opendas_plugin.office.relearn --output FOLDER --cache FOLDER``.

So ``office-tiny`` was made from ``office-tiny-v1`` (``--threads 1``, seed 0), ``office-tiny-b`` by ``--seed 1``, and
``office-tiny-c`` by ``--scheme last --seed 2``. Encodes the pictures of the pre-training by a finished image tower,
teaches a text tower to it, and writes ``config.json`` and ``weights.safetensors`` as the package stores them,
``clip.pt`` as every command takes a backbone, and ``relearn.log``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import open_clip
import torch

from opendas_plugin.files import write_text
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.openai_format import save_openai_clip
from opendas_plugin.model.tiny_clips import OFFICE_TINY_V1
from opendas_plugin.office.corpus import pictures
from opendas_plugin.office.pretrain import Pretraining, save
from opendas_plugin.office.relearn_text import Relearning, Student, relearn
from opendas_plugin.office.sentences import SCHEMES, Sentences, withheld_pairs
from opendas_plugin.office.views import kept_states

log = logging.getLogger(__name__)


def main() -> None:
    """Runs the relearning from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the config, weights, clip.pt and log")
    parser.add_argument("--cache", type=Path, required=True, help="folder for rendered pictures (about 2 GB)")
    parser.add_argument("--tower", default=OFFICE_TINY_V1, help="whose images are kept: a name or a clip.pt")
    parser.add_argument("--threads", type=int, default=2, help="torch threads and rendering processes")
    parser.add_argument("--steps", type=int, default=Relearning.steps)
    parser.add_argument("--scheme", choices=sorted(SCHEMES), default=Relearning.scheme, help="where colours stand")
    parser.add_argument("--spread", type=float, default=Relearning.spread, help="how hard names are pushed apart")
    parser.add_argument("--seed", type=int, default=Relearning.seed)
    arguments = parser.parse_args()
    chosen = {name: getattr(arguments, name) for name in ("steps", "scheme", "spread", "seed")}
    settings = Relearning(**chosen)
    torch.set_num_threads(arguments.threads)
    for line in make(arguments.tower, arguments.cache, arguments.output, settings, arguments.threads):
        log.info(line)


def make(tower: str, cache: Path, output: Path, settings: Relearning, threads: int = 2) -> Iterator[str]:
    """Makes a tower and writes it; yields what is to be said.

    Args:
        tower: the backbone whose images are kept.
        cache: folder of the rendered pictures and of what the image tower says of them.
        output: folder for the tower.
        settings: of the relearning.
        threads: processes that render.
    """
    clip, corpus, lines = build_backbone(tower)[0], Pretraining(), []
    images, colours = pictures(cache, 112, corpus.images, corpus.seed, threads)
    lines.append(f"images: {tower}, {backbone_sha256(clip)}; settings: {json.dumps(dataclasses.asdict(settings))}")
    lines.append(
        f"versions: python {platform.python_version()}, torch {torch.__version__}, open_clip {open_clip.__version__}, "
        f"{torch.get_num_threads()} threads"
    )
    yield from lines
    views = kept_states(cache, clip, images, settings.strengths, corpus.seed)
    sentences, withheld = Sentences(settings.scheme), withheld_pairs(colours, settings.withheld)
    student, begun = Student(clip, sentences, settings), time.perf_counter()
    for line in relearn(student, sentences, views, colours, withheld, settings):
        lines.append(line)
        yield line
    made = student.full(clip)
    size = save(made, sentences.tokens, output)
    save_openai_clip(tower, output / "clip.pt", weights=made.state_dict())
    lines.append(
        f"{int(withheld.sum())} pairs of name and colour were never shown; relearnt in "
        f"{time.perf_counter() - begun:.0f} s; {size} bytes, {backbone_sha256(made)}"
    )
    yield lines[-1]
    write_text(output / "relearn.log", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
