"""A backbone's tokenizer: from a folder, stored with an adapter, and refused where it is missing or another model's."""

from __future__ import annotations

import json
import shutil

import open_clip
import pytest
import torch
from PIL import Image

from opendas_plugin.errors import AdapterError, BackboneError, ConfigError, DataError, MissingFileError
from opendas_plugin.labeller import Labeller
from opendas_plugin.model import downloads
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig
from opendas_plugin.model.loading import load
from opendas_plugin.model.transformers_export import save_transformers
from tests.model.tokenizers import make

PROMPTS = PromptConfig(2, 2)


@pytest.fixture
def siglip(family_names, tokenizer_folders) -> OpenDASCLIP:
    return OpenDASCLIP.from_backbone(family_names["siglip"], tokenizer=tokenizer_folders["siglip"])


@pytest.mark.parametrize("family", ["siglip", "siglip2", "clipa"])
def test_ids_are_those_of_open_clips_own_wrapper(family, family_names, tokenizer_folders):
    clip = OpenDASCLIP.from_backbone(family_names[family], tokenizer=tokenizer_folders[family])
    options = open_clip.get_model_config(family_names[family])["text_cfg"]["tokenizer_kwargs"]
    theirs = open_clip.tokenizer.HFTokenizer(str(tokenizer_folders[family]), clip.context_length, **options)
    texts = ["", "A photo of a red door.", "the long desk"]
    assert torch.equal(clip.tokenize(texts), theirs(texts))


@pytest.mark.parametrize("family", ["siglip", "siglip2", "clipa", "worldwide"])
def test_a_text_beyond_the_context_is_named_though_padding_may_look_like_its_end(
    family, family_names, tokenizer_folders
):
    clip = OpenDASCLIP.from_backbone(family_names[family], tokenizer=tokenizer_folders[family])
    room = clip.context_length - 1 - (family == "clipa")
    words = " ".join(["a", *["red"] * (room - 1)])
    assert clip.tokenize(words).shape == (1, clip.context_length)
    with pytest.raises(DataError, match=rf"'a red .*' does not fit the context of {clip.context_length} tokens"):
        clip.tokenize(["a door", f"{words} red"])


def test_a_tokenizer_that_ends_no_text_hides_no_long_one(siglip, tokenizer_folders, tmp_path):
    folder = shutil.copytree(tokenizer_folders["siglip"], tmp_path / "endless")
    content = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(content | {"post_processor": None}))
    siglip.tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), 64)
    with pytest.raises(DataError, match="does not fit the context of 64 tokens"):
        siglip.tokenize(" ".join(["red"] * 65))


def test_a_tokenizer_that_is_not_here_is_said_with_the_setting_that_brings_it(family_names, monkeypatch):
    monkeypatch.setattr(downloads, "unreachable", lambda address: "the hub cannot be reached")
    clip = OpenDASCLIP.from_backbone(family_names["siglip"])
    said = (
        r"the tokenizer timm/ViT-B-16-SigLIP of siglip-tiny is not on this machine .*\(the hub cannot be reached\); "
        r"fetch .*, and give the folder as `tokenizer`$"
    )
    with pytest.raises(BackboneError, match=said):
        clip.tokenize("a door")
    with pytest.raises(BackboneError, match=said):
        OpenDASCLIP.from_backbone(family_names["siglip"], prompts=PROMPTS)
    with pytest.raises(MissingFileError, match="the tokenizer's folder nowhere does not exist"):
        OpenDASCLIP.from_backbone(family_names["siglip"], tokenizer="nowhere")


def test_another_models_tokenizer_is_refused(family_names, tokenizer_folders, tmp_path):
    def tokenize(family: str, folder) -> None:
        OpenDASCLIP.from_backbone(family_names[family], tokenizer=folder).tokenize("a door")

    with pytest.raises(
        BackboneError, match=r"no start, the end 1 and the padding 0, but .* trained with no start, the e"
    ):
        tokenize("siglip", tokenizer_folders["siglip2"])
    with pytest.raises(BackboneError, match=r"the start 101, the end 102 .*: it is another model's; give"):
        tokenize("siglip", tokenizer_folders["clipa"])
    with pytest.raises(BackboneError, match="makes 300 ids, but siglip-tiny knows 1,000: it is another model's"):
        tokenize("siglip", make("siglip", tmp_path / "small", 300))
    with pytest.raises(BackboneError, match="makes 1,200 ids, but siglip-tiny knows 1,000: it is another model's"):
        tokenize("siglip", make("siglip", tmp_path / "large", 1200))
    with pytest.raises(ConfigError, match="`tokenizer` has no effect on pe-tiny, which has open_clip's own"):
        tokenize("pe", tokenizer_folders["siglip"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match="empty holds no tokenizer that can be read"):
        tokenize("siglip", tmp_path / "empty")


def test_a_tokenizer_beside_the_one_in_the_models_own_folder_has_to_make_the_same_ids(siglip, tmp_path):
    save_transformers(siglip, tmp_path / "model")

    def build(folder) -> OpenDASCLIP:
        return OpenDASCLIP.from_backbone(str(tmp_path / "model"), tokenizer=folder)

    texts = ["a red door", "A photo, of a desk."]
    assert torch.equal(build(tmp_path / "model").tokenize(texts), siglip.tokenize(texts))
    swapped = shutil.copytree(tmp_path / "model", tmp_path / "swapped")
    content = (swapped / "tokenizer.json").read_text()
    assert '"▁red"' in content and '"▁blue"' in content
    content = content.replace('"▁red"', '"▁swap"').replace('"▁blue"', '"▁red"').replace('"▁swap"', '"▁blue"')
    (swapped / "tokenizer.json").write_text(content)
    for other in (swapped, make("siglip2", tmp_path / "two"), make("clipa", tmp_path / "bert")):
        with pytest.raises(
            BackboneError, match=r"makes other ids than the one that .*model has in its own folder.*; le"
        ):
            build(other).tokenize(texts)


def test_the_length_that_a_tokenizer_says_does_not_count(family_names, tokenizer_folders, tmp_path):
    """Towers of SigLIP have 16 or 64 places, and the same words."""
    folder = shutil.copytree(tokenizer_folders["siglip"], tmp_path / "short")
    said = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**said, "model_max_length": 4}))
    clip = OpenDASCLIP.from_backbone(family_names["siglip"], tokenizer=folder)
    text = "a photo of a very long red door"
    assert (clip.tokenize(text)[0, :8] != 1).all() and clip.tokenize(text).shape == (1, 64)
    with pytest.raises(DataError, match="does not fit the context of 64 tokens"):
        clip.tokenize(" ".join(["red"] * 65))


def test_an_adapter_knows_its_tokenizer_again(family_names, tokenizer_folders, tmp_path):
    folder = shutil.copytree(tokenizer_folders["siglip"], tmp_path / "words")
    weights = WeightConfig("norm", "norm")  # the tokenizer counts without learnt tokens, too
    clip = OpenDASCLIP.from_backbone(family_names["siglip"], weights=weights, tokenizer=folder)
    clip.save_pretrained(tmp_path / "adapter")
    said = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (said["tokenizer"], said["format_version"], len(said["tokenizer_sha256"])) == (str(folder), 4, 64)
    ids = clip.tokenize("a red door")
    assert torch.equal(OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=clip).tokenize("a red door"), ids)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(
        MissingFileError, match=r"adapter needs its tokenizer: .* does not exist; .*, or give it as `tok"
    ):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    found = OpenDASCLIP.from_pretrained(tmp_path / "adapter", tokenizer=moved)
    assert torch.equal(found.tokenize("a red door"), ids)
    model, _ = load(tmp_path / "adapter", tokenizer=moved)
    assert torch.equal(model.tokenize("a red door"), ids)
    content = (moved / "tokenizer.json").read_text()
    (moved / "tokenizer.json").write_text(content.replace('"▁door"', '"▁boor"'))
    with pytest.raises(
        AdapterError, match=r"was learnt with the tokenizer [0-9a-f]{12} of .*, but the one here is [0-9a-f]"
    ):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", tokenizer=moved)
    with pytest.raises(ConfigError, match="has its weights, device and tokenizer; leave them out"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=clip, tokenizer=moved)


def test_a_model_with_a_logit_bias_gives_a_sigmoid_and_any_other_a_softmax(family_names, tokenizer_folders, siglip):
    picture = Image.effect_noise((40, 30), 90).convert("RGB")
    names = ["a red door", "a desk", "a long block"]
    boxes = [[0, 0, 20, 20], [10, 5, 40, 30]]
    labels = Labeller(siglip, names)(picture, boxes=boxes)
    scale, bias = siglip.model.logit_scale.exp().item(), siglip.model.logit_bias.item()
    assert bias == -10
    assert torch.allclose(
        torch.from_numpy(labels.probabilities), torch.sigmoid(scale * torch.from_numpy(labels.cosines) + bias)
    )
    with torch.no_grad():
        siglip.model.logit_bias.zero_()  # of weights that hold none
        assert Labeller(siglip, names)(picture, boxes=boxes).probabilities.sum(axis=1) == pytest.approx(1)
    clipa = OpenDASCLIP.from_backbone(family_names["clipa"], tokenizer=tokenizer_folders["clipa"])
    assert Labeller(clipa, names)(picture, boxes=boxes).probabilities.sum(axis=1) == pytest.approx(1)


def test_a_view_of_openais_kind_gives_the_logits_of_open_clip(siglip, family_names, tokenizer_folders):
    view, _ = load(f"{family_names['siglip']}/random", tokenizer=tokenizer_folders["siglip"])
    pixels, ids = torch.randn(2, 3, 32, 32), siglip.tokenize(["a door", "a desk"])
    with torch.no_grad():
        expected, found = view.clip.model.get_logits(pixels, ids)[0], view(pixels, ids)[0]
    assert (found - expected).abs().max() < 1e-4
