import hashlib
import json

import torch
from safetensors.torch import load_file

from opendas_plugin.commands.export_adapter import main
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import PromptConfig, WeightConfig
from tests.conftest import RANDOM

NAMES = ["desk", "door frame", "globe"]


def test_a_classifier_holds_the_text_features_of_its_names(tmp_path):
    output = tmp_path / "classifier.safetensors"
    assert main(["--to", "classifier", "--names", *NAMES, "--template", "a {}.", "--output", str(output)]) == 0
    clip = OpenDASCLIP.from_backbone("office-tiny")
    with torch.no_grad():
        expected = clip.encode_text(clip.tokenizer([f"a {name}." for name in NAMES]))
    expected = expected / expected.norm(dim=-1, keepdim=True)
    assert torch.allclose(load_file(output)["text_features"], expected, atol=1e-6)
    about = json.loads(output.with_suffix(".json").read_text())
    assert about["names"] == NAMES
    assert about["clip"]["sha256"] == backbone_sha256(clip)
    assert about["text_features"] == hashlib.sha256(output.read_bytes()).hexdigest()


def test_the_built_in_clip_in_openais_format_is_the_same_clip(tmp_path):
    output = tmp_path / "office-tiny.pt"
    assert main(["--to", "openai-clip", "--output", str(output)]) == 0
    ours, read = (OpenDASCLIP.from_backbone(name) for name in ("office-tiny", str(output)))
    assert backbone_sha256(read) == backbone_sha256(ours)


def test_openais_package_reads_the_exported_clip(tmp_path, openai_clip):
    output = tmp_path / "office-tiny.pt"
    assert main(["--to", "openai-clip", "--output", str(output)]) == 0
    theirs, _ = openai_clip.load(str(output), device="cpu", jit=False)
    ours = OpenDASCLIP.from_backbone("office-tiny")
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tokens = openai_clip.tokenize(["a photo of a desk.", "an umbrella"])
    with torch.no_grad():
        assert torch.allclose(theirs.encode_image(images).float(), ours.encode_image(images), atol=1e-4)
        assert torch.allclose(theirs.encode_text(tokens).float(), ours.encode_text(tokens), atol=1e-4)


def test_an_adapter_of_weights_is_exported_as_the_plain_clip_that_it_is(tmp_path):
    clip = OpenDASCLIP.from_backbone("office-tiny", weights=WeightConfig(visual="low_rank", text="all", mix=0.5))
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    adapter, output = tmp_path / "adapter", tmp_path / "clip.pt"
    clip.save_pretrained(adapter, method="lora")
    assert main(["--to", "openai-clip", "--adapter", str(adapter), "--output", str(output)]) == 0
    read = OpenDASCLIP.from_backbone(str(output))
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tokens = clip.tokenize(["a photo of a desk.", "an umbrella"])
    with torch.no_grad():
        for theirs, ours, plain in (
            (read.encode_image(images, True), clip.encode_image(images, True), clip.model.encode_image(images, True)),
            (read.encode_text(tokens, True), clip.encode_text(tokens, True), clip.model.encode_text(tokens, True)),
        ):
            assert (theirs - ours).abs().max() < 0.01 < (plain - ours).abs().max()  # matrices are rounded to half
    clip.interpolate(visual=0.5)
    clip.save_pretrained(adapter)
    assert main(["--to", "openai-clip", "--adapter", str(adapter), "--output", str(tmp_path / "other.pt")]) == 1


def test_what_openais_format_cannot_say_is_refused(tmp_path, tiny_backbone, capsys):
    adapter, output = tmp_path / "adapter", tmp_path / "clip.pt"
    OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig()).save_pretrained(adapter)
    assert main(["--to", "openai-clip", "--adapter", str(adapter), "--output", str(output)]) == 1
    assert "tokens beside the weights" in capsys.readouterr().err
    assert main(["--to", "openai-clip", "--backbone", tiny_backbone, *RANDOM, "--output", str(output)]) == 1
    assert "it lacks heads of width 64" in capsys.readouterr().err
    assert not output.exists()


def test_a_classifier_is_not_written_where_its_names_go(tmp_path, capsys):
    output = tmp_path / "names.json"
    assert main(["--to", "classifier", "--names", *NAMES, "--output", str(output)]) == 2
    assert "--output is a classifier's .safetensors" in capsys.readouterr().err and not output.exists()
