"""A stand-in for OVSeg (tests/hosts/ovseg), a small CLIP in OpenAI's format, and adapters learnt on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig
from tests.forks import Forks

ROOT = Path(__file__).parents[3]
STAND_IN = Path(__file__).parents[2] / "hosts" / "ovseg"
CHECKOUT = STAND_IN / "checkout"
HOST_MODULES = ("open_vocab_seg", "clip", "detectron2")
TEMPLATES = ["a photo of a {}.", "There is a {} in the scene", "a photo of a small {}."]
NAMES = ["desk", "office chair", "wall", "fire extinguisher"]
OVSEGS_CROPS = CropPolicy(background="mean", expand=0.0, resize="squash")
WEIGHTS = {
    "opendas_plus": WeightConfig(visual="norm_bias+low_rank_mlp_out", text="norm", rank=1),
    "lora": WeightConfig(visual="low_rank", text="low_rank"),
    "ln_bias": WeightConfig(visual="norm_bias", text="norm_bias"),
    "wise_ft_image": WeightConfig(visual="all", mix=0.5),
    "wise_ft_text": WeightConfig(text="all", mix=0.4),
}
"""The methods that learn weights, by what they learn."""


@pytest.fixture(scope="session")
def host():
    """The stand-in's modules."""
    paths = [str(CHECKOUT), str(CHECKOUT / "third_party" / "CLIP"), str(STAND_IN / "packages")]
    sys.path[:0] = paths
    try:
        import clip
        import open_vocab_seg
        from open_vocab_seg.modeling.clip_adapter import adapter, text_template

        yield SimpleNamespace(clip=clip, models=open_vocab_seg, adapter=adapter, text=text_template)
    finally:
        sys.path[:] = [path for path in sys.path if path not in paths]
        for name in list(sys.modules):
            if name.partition(".")[0] in HOST_MODULES:
                del sys.modules[name]


@pytest.fixture(scope="session")
def python():
    """Runs Python in the checkout with the words behind its name, in a fork that has torch imported."""
    path = os.pathsep.join([str(ROOT), str(STAND_IN / "packages")])
    with Forks() as forks:

        def run(*words, cwd=CHECKOUT, **variables):
            environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}
            return forks.run(*words, cwd=cwd, env=environment)

        yield run


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory) -> Path:
    """Random weights of a CLIP with 3 visual and 2 text layers of width 64, patches of 32, 224 pixels.

    Its visual tower is deeper, as in ViT-L/14.
    """
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    torch.save(clip_state(), path)
    return path


@pytest.fixture(scope="session")
def other_clip_file(tmp_path_factory) -> Path:
    """The same architecture with other weights, as a mask-adapted CLIP is."""
    path = tmp_path_factory.mktemp("other") / "clip.pt"
    torch.save(clip_state(seed=1), path)
    return path


@pytest.fixture(scope="session")
def learnt(clip_file):
    """The CLIP with learnt tokens in both towers, as opendas_plugin runs it."""
    return adapted(clip_file)


@pytest.fixture(scope="session")
def adapter(tmp_path_factory, learnt) -> Path:
    """An adapter with learnt tokens in both towers."""
    folder = tmp_path_factory.mktemp("adapters") / "both"
    learnt.save_pretrained(folder, crop_policy=OVSEGS_CROPS)
    return folder


@pytest.fixture(scope="session")
def identity(tmp_path_factory, clip_file) -> Path:
    """An adapter of 0 tokens."""
    folder = tmp_path_factory.mktemp("adapters") / "identity"
    adapted(clip_file, visual_tokens=0, text_tokens=0).save_pretrained(folder)
    return folder


@pytest.fixture
def model(host, clip_file):
    """OVSeg with mask prompts of depth 2, in evaluation mode."""
    return build(host, clip_file)


@pytest.fixture
def inputs():
    """One image with 6 mask proposals, of which the fourth is empty."""
    return make_inputs()


def clip_state(seed=0, width=64, layers=3, text_layers=2, patch=32, text_width=64, embed_dim=48, size=224):
    """A CLIP's tensors in OpenAI's format."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape, std=0.1):
        return std * torch.randn(*shape, generator=generator)

    state = {
        "visual.conv1.weight": noise(width, 3, patch, patch, std=0.03),
        "visual.class_embedding": noise(width),
        "visual.positional_embedding": noise((size // patch) ** 2 + 1, width),
        "visual.proj": noise(width, embed_dim),
        "token_embedding.weight": noise(49408, text_width),
        "positional_embedding": noise(77, text_width),
        "text_projection": noise(text_width, embed_dim),
        "logit_scale": torch.tensor(4.6),
    }
    norms = [("visual.ln_pre", width), ("visual.ln_post", width), ("ln_final", text_width)]
    for tower, w, depth in (("visual.", width, layers), ("", text_width, text_layers)):
        for layer in range(depth):
            block = f"{tower}transformer.resblocks.{layer}."
            norms += [(block + "ln_1", w), (block + "ln_2", w)]
            matrices = {"attn.in_proj_": (3 * w, w), "attn.out_proj.": (w, w)}
            matrices |= {"mlp.c_fc.": (4 * w, w), "mlp.c_proj.": (w, 4 * w)}
            for name, shape in matrices.items():
                state[f"{block}{name}weight"], state[f"{block}{name}bias"] = noise(*shape), noise(shape[0])
    for name, w in norms:
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + noise(w), noise(w)
    return state


def adapted(clip_file, weights=None, **prompts) -> OpenDASCLIP:
    """OpenDASCLIP on a file, what it learnt moved away from where it starts."""
    prompts = PromptConfig(**({"visual_tokens": 0, "text_tokens": 0, **prompts} if weights else prompts))
    clip = OpenDASCLIP.from_backbone(str(clip_file), prompts=prompts, weights=weights)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_((0.1 if weights else 0.3) * torch.randn(parameter.shape, generator=generator))
    return clip


def save(folder, clip_file, method, **prompts) -> Path:
    """Writes an adapter of one of the methods of :data:`WEIGHTS`, of maple, or of tokens, learnt on OVSeg's crops."""
    if method == "maple":
        prompts = {"visual_tokens": 2, "text_tokens": 2, "form": "coupled", **prompts}
    clip = adapted(clip_file, WEIGHTS.get(method), **prompts)
    clip.save_pretrained(folder, method=method, crop_policy=OVSEGS_CROPS)
    return folder


def build(host, clip_file, kind="OVSeg", weight=0.7, ensemble=True, **settings):
    torch.manual_seed(0)
    templates = host.text.PredefinedPromptExtractor(TEMPLATES)
    settings = {"mask_prompt_depth": 2, "mask_prompt_fwd": True, **settings}
    clip_adapter = host.adapter.MaskFormerClipAdapter(str(clip_file), templates, **settings)
    with torch.no_grad():
        clip_adapter.clip_model.visual.mask_embedding.normal_()
    model = getattr(host.models, kind)(
        clip_adapter=clip_adapter, clip_ensemble=ensemble, clip_ensemble_weight=weight
    ).eval()
    model.load_state_dict(model.state_dict())  # as from a checkpoint
    return model


def make_inputs(queries=6, empty=(3,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randn(queries, 40, 52, generator=generator)
    masks[:, :3] = -9.0  # boxes that are not the whole image
    masks[0, :30, 9:] = -9.0
    masks[list(empty)] = -9.0
    return {
        "image": torch.randint(0, 256, (3, 40, 52), generator=generator),
        "pred_masks": masks,
        "pred_logits": torch.randn(queries, 48, generator=generator),
        "class_names": list(NAMES),
    }


@torch.no_grad()
def segment(model, inputs):
    """The model's scores (classes, H, W)."""
    return model([inputs])[0]["sem_seg"]
