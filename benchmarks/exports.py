"""Names of a photo's masks by the labeller, open_clip's and transformers' own code; towers by torch and onnxruntime.

    python benchmarks/exports.py --models ViT-B-16 ViT-B-16-SigLIP --masks 100 --names 150

Weights are random. The rivals are what a user writes: crops of the masks' boxes, the library's preprocessing, both
towers in batches. That all give the same cosines is checked before anything is timed; reading the photo is not timed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
import transformers
import tyro
from labeller import draw
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timing import describe, race
from torch.nn.functional import normalize

from opendas_plugin import CropPolicy, Labeller, OpenDASCLIP
from opendas_plugin.eval.report import align
from opendas_plugin.model.onnx_format import save_onnx
from opendas_plugin.model.transformers_export import save_transformers

CLOCKS = {"wall": None, "processor": time.process_time}


@dataclass(frozen=True)
class Options:
    """Names of masks by three libraries, towers by two runtimes."""

    models: tuple[str, ...] = ("ViT-B-16", "ViT-B-16-SigLIP")
    """open_clip's names, with random weights; or office-tiny."""
    width: int = 1024
    """Of the photo, in pixels."""
    height: int = 768
    """Of the photo, in pixels."""
    masks: int = 100
    """Ellipses of random places and sizes."""
    names: int = 150
    """Texts of three to six words."""
    batch_size: int = 32
    """Crops a forward."""
    repeats: int = 3
    """Timed turns."""
    clock: Literal["wall", "processor"] = "wall"
    """processor: seconds of all threads that the process was given, for a busy machine."""
    tolerance: float = 1e-4
    """Largest difference of a cosine."""


class StandIn:
    """Ids of words for models whose tokenizer lies on the hub: a text's words, the end, and padding behind it."""

    clean_fn = None
    vocab_size = 0

    def __init__(self, length: int, known: int) -> None:
        self.length, self.known = length, known

    def __call__(self, texts: Sequence[str], context_length: int | None = None) -> torch.Tensor:
        """Returns ids (N, length)."""
        ids = torch.ones(len(texts), context_length or self.length, dtype=torch.int64)
        for row, text in zip(ids, texts, strict=True):
            words = [2 + sum(map(ord, word)) % (self.known - 2) for word in text.split()]
            row[: len(words)] = torch.tensor(words)
        return ids

    def save_pretrained(self, folder: str) -> None:
        """Writes what an export changes."""
        (Path(folder) / "tokenizer_config.json").write_text("{}")


def crops(photo: NDArray[np.uint8], masks: NDArray[np.bool_], expand: float) -> list[Image.Image]:
    """The masks' boxes, expanded as the labeller's are."""
    picture, found = Image.fromarray(photo), []
    for mask in masks:
        y, x = np.nonzero(mask)
        x0, x1, y0, y1 = int(x.min()), int(x.max()) + 1, int(y.min()), int(y.max()) + 1
        dx, dy = round((x1 - x0) * expand / 2), round((y1 - y0) * expand / 2)
        box = max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, photo.shape[1]), min(y1 + dy, photo.shape[0])
        found.append(picture.crop(box))
    return found


def libraries(clip: OpenDASCLIP, folder: Path, options: Options) -> dict[str, Callable[[], NDArray[np.float32]]]:
    """Each library's way from photo, masks and texts to cosines (M, N)."""
    photo, masks = draw(options)  # type: ignore[arg-type]  # it reads sizes and counts alone
    names = [f"thing {number} of colour {number % 7}" for number in range(options.names)]
    texts, policy = [f"a photo of a {name}." for name in names], CropPolicy()
    save_transformers(clip, folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    own = isinstance(clip.tokenizer, StandIn)
    tokenizer = None if own else transformers.AutoTokenizer.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    facts = PreprocessCfg(**{**clip.model.visual.preprocess_cfg, "resize_mode": "squash"})
    preprocess, size = image_transform_v2(facts, is_train=False), options.batch_size
    square = {"height": clip.image_size, "width": clip.image_size}

    def labeller() -> NDArray[np.float32]:
        found = Labeller(clip, names, template="a photo of a {}.", crops=policy, batch_size=size)
        return found(photo, masks).cosines

    @torch.no_grad()
    def open_clip() -> NDArray[np.float32]:
        boxes = crops(photo, masks, policy.expand)
        batches = [torch.stack([preprocess(box) for box in boxes[i : i + size]]) for i in range(0, len(boxes), size)]
        images = torch.cat([clip.model.encode_image(batch, normalize=True) for batch in batches])
        return (images @ clip.model.encode_text(clip.tokenizer(texts), normalize=True).T).numpy()

    @torch.no_grad()
    def by_transformers() -> NDArray[np.float32]:
        boxes, found = crops(photo, masks, policy.expand), []
        for start in range(0, len(boxes), size):
            batch = boxes[start : start + size]
            pixels = processor(images=batch, size=square, do_center_crop=False, return_tensors="pt").pixel_values
            found.append(normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=-1))
        ids = {"input_ids": clip.tokenizer(texts)} if tokenizer is None else tokenizer(texts, padding=True)
        ids = {key: torch.as_tensor(value) for key, value in ids.items()}
        return (torch.cat(found) @ normalize(model.get_text_features(**ids).pooler_output, dim=-1).T).numpy()

    return {"open_clip": open_clip, "transformers": by_transformers, "Labeller": labeller}


def runtimes(clip: OpenDASCLIP, folder: Path, options: Options) -> dict[str, Callable[[], Any]]:
    """Both towers by torch and by onnxruntime, of a batch of crops and of all texts."""
    save_onnx(clip, folder, {})
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    image, text = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", settings, providers=["CPUExecutionProvider"])
        for name in ("image", "text")
    )
    pixels = torch.randn(options.batch_size, 3, *clip.image_shape)
    ids = clip.tokenizer([f"a photo of a thing {number}." for number in range(options.names)])
    causal = getattr(clip.towers.text, "is_causal", False)
    trimmed = ids[:, : int(ids.argmax(dim=1).max()) + 1].clone() if causal else ids

    def images() -> torch.Tensor:
        with torch.no_grad():
            return clip.encode_image(pixels, normalize=True)

    def texts() -> torch.Tensor:
        with torch.no_grad():
            return clip.encode_text(ids, normalize=True)

    contestants: dict[str, Callable[[], Any]] = {
        "images, torch": images,
        "images, onnxruntime": lambda: image.run(None, {"pixels": pixels.numpy()})[0],
        "texts, torch": texts,
        "texts, onnxruntime": lambda: text.run(None, {"ids": ids.numpy()})[0],
    }
    if causal:
        contestants["texts trimmed, onnxruntime"] = lambda: text.run(None, {"ids": trimmed.numpy()})[0]
    return contestants


def show(title: str, contestants: dict[str, Callable[[], Any]], first: Callable[[str], str], options: Options) -> None:
    """Checks that contestants agree with their rival, times them in turns and prints the table."""
    outcomes = {name: np.asarray(work()) for name, work in contestants.items()}
    difference = max(float(np.abs(found - outcomes[first(name)]).max()) for name, found in outcomes.items())
    if difference > options.tolerance:
        raise SystemExit(f"the results differ by {difference:.1e}, more than {options.tolerance:.0e}")
    times = race(contestants, repeats=options.repeats, device=torch.device("cpu"), clock=CLOCKS[options.clock])
    print(f"{title}; largest difference {difference:.1e}")
    rows = [[n, *time.cells(), f"{times[first(n)].median / time.median:.2f}x"] for n, time in times.items()]
    print(align([["", f"median ms ({options.clock})", "min - max ms", "speed"], *rows]))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs both comparisons for each model."""
    options = tyro.cli(Options, args=argv)
    print(
        describe(torch.device("cpu")), f"transformers {transformers.__version__}, onnxruntime {onnxruntime.__version__}"
    )
    for model in options.models:
        clip = OpenDASCLIP.from_backbone(model)
        if (clip.config.backbone_facts or clip).tokenizer != "open_clip":
            clip.__dict__["tokenizer"] = StandIn(clip.context_length, clip.towers.text.vocabulary_size)
        with tempfile.TemporaryDirectory() as folder:
            title = f"{model}, {options.masks} masks, {options.names} names"
            show(title, libraries(clip, Path(folder) / "transformers", options), lambda name: "open_clip", options)
            graphs = runtimes(clip, Path(folder) / "onnx", options)
            title = f"{model}, a batch of {options.batch_size} crops, {options.names} texts"
            show(title, graphs, lambda name: f"{name.split(',')[0].split()[0]}, torch", options)


if __name__ == "__main__":
    main()
