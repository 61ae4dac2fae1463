"""Three methods against the plain way to compute them, same weights: CoCoOp's scores, RPO's step, WiSE-FT's sweep.

    python benchmarks/methods.py --backbone ViT-B-16 --device cpu

The plain ways are what the published codes do: every text at all positions, for every image anew (CoCoOp); read-only
tokens in the sequence behind masks, with gradients through the frozen stream (RPO); both towers for every alpha
(WiSE-FT, here of the text tower). That the results are equal is checked before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import open_clip
import torch
import tyro
from timing import describe, race
from torch.nn.functional import normalize as unit

from opendas_plugin import methods
from opendas_plugin.eval.report import align
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary

ALPHAS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class Options:
    """Methods against the plain way to compute them."""

    backbone: str = "ViT-B-16"
    """open_clip model name, OpenAI-format file, or office-tiny."""
    pretrained: str | None = None
    """open_clip tag or weight file; None: random weights, which take as long."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to run."""
    which: tuple[Literal["cocoop", "rpo", "wise_ft"], ...] = ("cocoop", "rpo", "wise_ft")
    """What to time."""
    names: int = 233
    """Class names: the first ones of ImageNet."""
    images: int = 8
    """Images."""
    repeats: int = 5
    """Timed turns."""
    tolerance: float = 1e-4
    """Largest difference of a score, or of a gradient as a share of the largest."""


def build(method: str, options: Options) -> OpenDASCLIP:
    """The backbone with a method's adapter at its start."""
    found, device = methods.get(method), torch.device(options.device)
    return OpenDASCLIP.from_backbone(
        options.backbone, options.pretrained, prompts=found.prompts, weights=found.weights, device=device
    )


@torch.no_grad()
def plain_cocoop(clip: OpenDASCLIP, tokens: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Cosines, one image after the other, all positions of all texts."""
    model, prompts, rows = clip.model, clip.text_prompts, []
    words = model.token_embedding(tokens)
    for feature in unit(image, dim=-1):
        learnt = prompts.of(feature[None])[0, 0].expand(len(tokens), -1, -1)  # type: ignore[operator]
        x = torch.cat([words[:, :1], learnt, words[:, 1 + learnt.shape[1] :]], dim=1) + model.positional_embedding
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
        text = x[torch.arange(len(tokens)), tokens.argmax(dim=-1)] @ model.text_projection
        rows.append(unit(text, dim=-1) @ feature)
    return torch.stack(rows)


def plain_rpo(clip: OpenDASCLIP, tokens: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Scores (B, N): the learnt tokens in the sequences, behind masks."""
    model, visual = clip.model, clip.model.visual
    n = clip.visual_prompts.tokens.shape[1]
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
    x = visual.ln_pre(torch.cat([x, clip.visual_prompts.tokens.expand(len(x), -1, -1)], dim=1))
    mask = x.new_zeros(x.shape[1], x.shape[1])
    mask[:, -n:] = float("-inf")
    image = unit(visual.ln_post(visual.transformer(x, attn_mask=mask)[:, -n:]) @ visual.proj, dim=-1)

    ends = tokens.argmax(dim=-1)
    x = model.token_embedding(tokens) + model.positional_embedding
    places = ends[:, None] + 1 + torch.arange(n, device=tokens.device)
    x = x.scatter(1, places[..., None].expand(-1, -1, x.shape[-1]), clip.text_prompts.tokens.expand(len(x), -1, -1))
    behind = torch.arange(x.shape[1], device=tokens.device) > ends[:, None]  # (N, 77)
    masks = model.attn_mask.masked_fill(behind[:, None], float("-inf"))
    masks = masks.repeat_interleave(model.transformer.resblocks[0].attn.num_heads, dim=0)
    x = model.ln_final(model.transformer(x, attn_mask=masks)) @ model.text_projection
    text = unit(x[torch.arange(len(x))[:, None], places], dim=-1)
    return torch.einsum("bkd,nkd->bn", image, text) / n


@torch.no_grad()
def plain_sweep(clip: OpenDASCLIP, tokens: torch.Tensor, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Scores at each alpha, both towers every time."""
    scores = []
    for clip.weight_mix in ALPHAS:
        image, text = clip.encode_image(pixels, normalize=True), clip.encode_text(tokens, normalize=True)
        scores.append(image @ text.T)
    return scores


@torch.no_grad()
def sweep(clip: OpenDASCLIP, tokens: torch.Tensor, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Scores at each alpha, the frozen visual tower once."""
    image, scores = clip.encode_image(pixels, normalize=True), []
    for clip.weight_mix in ALPHAS:
        scores.append(image @ clip.encode_text(tokens, normalize=True).T)
    return scores


def contests(options: Options) -> Iterator[tuple[str, dict[str, Callable[[], Any]]]]:
    """What is timed: a title, and the plain way and the package's, each checked against the other.

    Raises:
        SystemExit: they differ.
    """
    vocabulary = Vocabulary(names=tuple(dict.fromkeys(open_clip.IMAGENET_CLASSNAMES))[: options.names])
    for which in options.which:
        clip = build({"wise_ft": "wise_ft_text"}.get(which, which), options)
        device, size = torch.device(options.device), clip.image_size
        tokens, pixels = clip.tokenize(vocabulary.texts()), torch.randn(options.images, 3, size, size, device=device)
        padded = tokens.to(device)
        if which == "cocoop":
            with torch.no_grad():
                image = clip.encode_image(pixels)
            own, rival = torch.no_grad()(clip.classifier(tokens)), plain_cocoop
            check(own(image), rival(clip, padded, image), options.tolerance)
            pair = {"each image, 77 positions": (rival, clip, padded, image), "classifier()": (own, image)}
        elif which == "rpo":

            def step(score: Callable[[], torch.Tensor], clip: OpenDASCLIP = clip) -> torch.Tensor:
                clip.zero_grad()
                score().logsumexp(dim=-1).sum().backward()
                return clip.visual_prompts.tokens.grad  # type: ignore[return-value]

            def masked(clip: OpenDASCLIP = clip, ids: torch.Tensor = padded, x: torch.Tensor = pixels) -> torch.Tensor:
                return plain_rpo(clip, ids, x)

            def read(clip: OpenDASCLIP = clip, ids: torch.Tensor = tokens, x: torch.Tensor = pixels) -> torch.Tensor:
                return clip.classifier(ids)(clip.encode_image(x))

            expected = step(masked).clone()
            check(step(read) / expected.abs().max(), expected / expected.abs().max(), options.tolerance)
            pair = {"tokens behind masks": (step, masked), "tokens that read": (step, read)}
        else:
            expected = torch.stack(plain_sweep(clip, tokens, pixels))
            check(torch.stack(sweep(clip, tokens, pixels)), expected, options.tolerance)
            pair = {"both towers at each alpha": (plain_sweep, clip, tokens, pixels)}
            pair |= {"what is frozen once": (sweep, clip, tokens, pixels)}
        yield which, {name: partial(*call) for name, call in pair.items()}


def check(own: torch.Tensor, rival: torch.Tensor, tolerance: float) -> None:
    """Raises SystemExit where two results differ by more than ``tolerance``."""
    if not (difference := (own - rival).abs().max().item()) <= tolerance:
        raise SystemExit(f"the results differ by {difference:.1e}, more than {tolerance:.0e}")


def main(argv: Sequence[str] | None = None) -> None:
    """Checks that both ways give the same, times them in turns and prints the table."""
    options = tyro.cli(Options, args=argv)
    torch.manual_seed(0)
    print(
        f"{options.backbone}, {options.names} names, {options.images} images, {describe(torch.device(options.device))}"
    )
    for which, pair in contests(options):
        times = race(pair, repeats=options.repeats, device=torch.device(options.device))
        first = next(iter(times.values())).median
        rows = [[name, *time.cells(), f"{first / time.median:.1f}x"] for name, time in times.items()]
        print(align([[which, "median ms", "min - max ms", "speed"], *rows]), flush=True)


if __name__ == "__main__":
    main()
