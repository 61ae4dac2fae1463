"""Small open_clip models of every make that learnt tokens must work in."""

from __future__ import annotations

import open_clip
import torch

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import BackboneConfig, PromptConfig

TEXTS = [
    "a photo of a door.",
    "a photo of a fire extinguisher.",
    "a photo of a door frame.",
    "a photo of a very long red and green thing that hangs on the wall beside the window.",
]

WIDE_HEADS = {"vision_cfg": {"head_width": 64}, "text_cfg": {"heads": 1}}  # OpenAI's format knows no other head width


def build(name: str, *, layers: int | None = None, custom_text: bool = False, **changes):
    """open_clip's model ``name`` with random weights, its layers cut to ``layers``, its configuration changed."""
    config = open_clip.get_model_config(name)
    for tower in ("vision_cfg", "text_cfg"):
        config[tower].update({"layers": layers} if layers else {}, **changes.pop(tower, {}))
    kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**config | changes).eval()


def wrap(model, prompts: PromptConfig | None = None, **options) -> OpenDASCLIP:
    """The model with an adapter whose tokens are large enough to matter."""
    clip = OpenDASCLIP(model, BackboneConfig("ViT-B-32"), prompts, **options)
    with torch.no_grad():
        for tensor in clip.prompt_parameters():
            tensor.add_(0.3 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    return clip


def pixels(model, count: int = 2) -> torch.Tensor:
    """Noise of the size that the model reads."""
    return torch.randn(count, 3, *model.visual.image_size, generator=torch.Generator().manual_seed(2))


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """Whether two tensors differ by at most ``tolerance`` anywhere."""
    return a.shape == b.shape and (a - b).abs().max().item() <= tolerance


def build_tiny(**options):
    """A model of 3 + 3 layers, 32 pixels and width 64, which takes CLIP's token ids."""
    vision = {"image_size": 32, "layers": 3, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3}
    vision |= options.pop("vision_cfg", {})
    text |= options.pop("text_cfg", {})
    kind = open_clip.CustomTextCLIP if options.pop("custom_text", False) else open_clip.CLIP
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(embed_dim=32, vision_cfg=vision, text_cfg=text, **options).eval()


def openai_state() -> dict[str, torch.Tensor]:
    """A random CLIP as OpenAI stores it: matrices in half precision, normalisations and embeddings in full."""
    model = build_tiny(quick_gelu=True, **WIDE_HEADS)
    open_clip.convert_weights_to_fp16(model)
    return model.state_dict()
