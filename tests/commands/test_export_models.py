"""What `opendas-export` writes for other libraries, read by their own loaders in a fresh process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as transforms

from opendas_plugin.commands.export_adapter import main
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import BackboneConfig, PromptConfig, WeightConfig
from opendas_plugin.model.transformers_export import save_transformers
from opendas_plugin.model.transformers_view import TransformersCLIP, zero_shot_pipeline
from tests.conftest import RANDOM
from tests.model.models import build_tiny, close, wrap
from tests.model.saved_models import features, inputs, save, siglip_tokenizer

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "exports.md"
NAMES = ["desk", "door frame", "fire extinguisher"]
TEXTS = [f"a photo of a {name}." for name in NAMES]
WEIGHTS = WeightConfig(visual="norm_bias+low_rank_mlp_out", text="low_rank", rank=1)


def learnt(backbone: str, tmp_path, prompts=None, weights=WEIGHTS, **names) -> OpenDASCLIP:
    """A CLIP whose adapter, away from its start, is saved in ``tmp_path / "adapter"``."""
    clip = OpenDASCLIP.from_backbone(backbone, prompts=prompts, weights=weights)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    clip.save_pretrained(tmp_path / "adapter", method="opendas_plus", **names)
    return clip


def export(tmp_path, to: str, *flags: str) -> int:
    return main(["--to", to, "--adapter", str(tmp_path / "adapter"), "--output", str(tmp_path / to), *flags])


def picture() -> Image.Image:
    noise = torch.randint(0, 256, (6, 9, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    return Image.fromarray(noise.numpy()).resize((150, 100), Image.Resampling.BICUBIC)


def in_a_fresh_process(code: str) -> dict:
    """What a program prints as JSON; it knows nothing of this package."""
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    return json.loads(found.stdout.splitlines()[-1])


def test_transformers_own_pipeline_names_a_picture_as_the_adapter_does(tmp_path, tiny_backbone):
    pytest.importorskip("transformers", reason="transformers is not installed")
    clip = learnt(tiny_backbone, tmp_path)
    assert export(tmp_path, "transformers") == 0
    picture().save(tmp_path / "picture.png")
    found = in_a_fresh_process(f"""
import json, torch
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel, pipeline
from PIL import Image
folder = {str(tmp_path / "transformers")!r}
model, missing = CLIPModel.from_pretrained(folder, output_loading_info=True)
pillow = AutoImageProcessor.from_pretrained(folder, backend="pil")
tagger = pipeline("zero-shot-image-classification", model=folder, image_processor=pillow)
photo = Image.open({str(tmp_path / "picture.png")!r})
scores = tagger(photo, candidate_labels={NAMES}, hypothesis_template="a photo of a {{}}.")
ids = AutoTokenizer.from_pretrained(folder)({TEXTS}, padding=True, return_tensors="pt")
pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    features = model.get_image_features(pixel_values=pixels), model.get_text_features(**ids)
rows = [(one.pooler_output / one.pooler_output.norm(dim=-1, keepdim=True)).tolist() for one in features]
print(json.dumps({{"scores": scores, "features": rows, "missing": sorted(missing["missing_keys"])}}))
""")
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = clip.encode_image(pixels, normalize=True), clip.encode_text(clip.tokenize(TEXTS), normalize=True)
        image = clip.encode_image(clip.preprocess(picture())[None], normalize=True)
        expected = (clip.logit_scale.exp() * image @ ours[1].T).softmax(dim=-1)[0]
    assert found["missing"] == []
    assert all(close(one, torch.tensor(theirs)) for one, theirs in zip(ours, found["features"], strict=True))
    scores = {row["label"]: row["score"] for row in found["scores"]}
    assert close(torch.tensor([scores[name] for name in NAMES]), expected)


@pytest.mark.parametrize(
    ("visual", "text"),
    [pytest.param(None, None, marks=pytest.mark.slow), ("gelu", "gelu_pytorch_tanh")],
)
def test_a_siglip_goes_from_transformers_to_transformers(tmp_path, visual, text):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    source = tmp_path / "source"
    theirs = save("siglip", source, visual, text)
    siglip_tokenizer(source)
    clip = learnt(str(source), tmp_path)
    pixels, ids = inputs("siglip")
    assert export(tmp_path, "transformers") == 0
    folder = tmp_path / "transformers"
    read = transformers.SiglipModel.from_pretrained(folder)
    with torch.no_grad():
        ours = clip.encode_image(pixels, normalize=True), clip.encode_text(ids, normalize=True)
        logits = read(pixel_values=pixels, input_ids=ids).logits_per_image
    assert all(map(close, features(read, pixels, ids), ours))
    assert not close(features(theirs, pixels, ids)[0], ours[0])
    assert close(logits, clip.logit_scale.exp() * ours[0] @ ours[1].T + clip.model.logit_bias)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_input_names == ["input_ids"]
    texts = tokenizer(["the red desk"], padding="max_length", max_length=16, return_tensors="pt")
    assert torch.equal(texts.input_ids, clip.tokenize("the red desk"))
    OpenDASCLIP.from_backbone(str(source), weights=WeightConfig(visual="norm")).save_pretrained(tmp_path / "same")
    main(["--to", "transformers", "--adapter", str(tmp_path / "same"), "--output", str(tmp_path / "again")])
    again = transformers.SiglipModel.from_pretrained(tmp_path / "again").state_dict()
    assert all(torch.equal(value, again[key]) for key, value in theirs.state_dict().items())


@pytest.mark.slow  # a process that imports all anew
def test_open_clips_own_loader_gives_the_adapters_features(tmp_path, tiny_backbone):
    clip = learnt(tiny_backbone, tmp_path)
    assert export(tmp_path, "open-clip") == 0
    found = in_a_fresh_process(f"""
import json, open_clip, torch
name = "local-dir:" + {str(tmp_path / "open-clip")!r}
model, _, preprocess = open_clip.create_model_and_transforms(name)
pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    rows = model.eval().encode_image(pixels), model.encode_text(open_clip.get_tokenizer(name)({TEXTS}))
print(json.dumps([one.tolist() for one in rows]))
""")
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = clip.encode_image(pixels), clip.encode_text(clip.tokenize(TEXTS))
    assert all(close(one, torch.tensor(theirs)) for one, theirs in zip(ours, found, strict=True))
    config = json.loads((tmp_path / "open-clip" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["quick_gelu"] is True and config["preprocess_cfg"]["resize_mode"] == "shortest"
    again = OpenDASCLIP.from_backbone(str(tmp_path / "open-clip"))
    with torch.no_grad():
        assert close(again.encode_image(pixels), ours[0])


@pytest.mark.slow
def test_an_openai_file_is_written_for_open_clip_and_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    assert main(["--to", "openai-clip", "--output", str(tmp_path / "clip.pt")]) == 0
    clip, images = OpenDASCLIP.from_backbone(str(tmp_path / "clip.pt")), torch.randn(1, 3, 224, 224)
    for to in ("open-clip", "transformers"):
        assert main(["--to", to, "--backbone", str(tmp_path / "clip.pt"), "--output", str(tmp_path / to)]) == 0
    theirs = open_clip.create_model(f"local-dir:{tmp_path / 'open-clip'}")
    other = transformers.CLIPModel.from_pretrained(tmp_path / "transformers")
    with torch.no_grad():
        assert close(theirs.encode_image(images), clip.encode_image(images))
        assert close(other.get_image_features(pixel_values=images).pooler_output, clip.encode_image(images))


def test_what_other_libraries_cannot_say_is_refused_with_what_to_take_instead(tmp_path, family_names, capsys):
    learnt("office-tiny", tmp_path, PromptConfig(), None)
    for to in ("transformers", "open-clip", "openai-clip"):
        assert export(tmp_path, to) == 1
        assert "tokens beside the weights" in (said := capsys.readouterr().err) and "--to classifier or onnx" in said
    for family, to, said in (
        ("convnext", "transformers", "whose towers work otherwise; export it with --to open-clip"),
        ("clipa", "transformers", "whose towers work otherwise"),
        ("openai", "openai-clip", "it lacks heads of width 64"),
        ("pe", "openai-clip", "export it with --to open-clip or --to transformers"),
    ):
        assert main(["--to", to, "--backbone", family_names[family], *RANDOM, "--output", str(tmp_path / "x")]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    save("clip", tmp_path / "mixed", "gelu", "quick_gelu")
    assert main(["--to", "open-clip", "--backbone", str(tmp_path / "mixed"), "--output", str(tmp_path / "x")]) == 1
    assert "text_activation quick_gelu and there gelu" in capsys.readouterr().err
    assert main(["--to", "transformers", "--backbone", str(tmp_path / "mixed"), "--output", str(tmp_path / "x")]) == 0


def test_a_folder_with_other_files_is_not_replaced(tmp_path, tiny_backbone, capsys):
    clip = learnt(tiny_backbone, tmp_path)
    (tmp_path / "open-clip").mkdir()
    (tmp_path / "open-clip" / "thesis.tex").touch()
    assert export(tmp_path, "open-clip") == 1
    assert "holds other files (thesis.tex)" in capsys.readouterr().err
    (tmp_path / "open-clip" / "thesis.tex").unlink()
    assert [export(tmp_path, "open-clip"), export(tmp_path, "open-clip")] == [0, 0]
    capsys.readouterr()
    for stranger in ("notes.txt", "figures"):
        (tmp_path / "open-clip" / stranger).mkdir()
        assert export(tmp_path, "open-clip") == 1
        assert f"holds other files ({stranger}), which would be lost; choose" in capsys.readouterr().err
        (tmp_path / "open-clip" / stranger).rmdir()
    theirs, pixels = open_clip.create_model(f"local-dir:{tmp_path / 'open-clip'}"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert close(theirs.encode_image(pixels), clip.encode_image(pixels))


@pytest.mark.slow
def test_graphs_of_frozen_names_say_what_they_are_of(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    clip = learnt("office-tiny", tmp_path, PromptConfig(), None, template="a {}.")
    assert export(tmp_path, "onnx", "--names", *NAMES, "--precision", "fp16") == 0
    about = json.loads((tmp_path / "onnx" / "onnx.json").read_text())
    assert (about["names"], about["template"], about["precision"]) == (NAMES, "a {}.", "fp16")
    assert about["pixels"]["size"] == [224, 224] and about["pixels"]["mean"] == list(clip.pixels.mean)
    graph = onnxruntime.InferenceSession(tmp_path / "onnx" / "names.onnx", providers=["CPUExecutionProvider"])
    pixels = clip.preprocess(picture())[None]
    (cosines,) = graph.run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        names = clip.encode_text(clip.tokenize([f"a {name}." for name in NAMES]), normalize=True)
        assert close(torch.from_numpy(cosines), clip.encode_image(pixels, normalize=True) @ names.T, 1e-4)
    picture().save(tmp_path / "crop.png")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    (program,) = [block for block in blocks if "onnxruntime" in block]
    program = program.replace("runs/mine/graph", str(tmp_path / "onnx")).replace("crop.png", str(tmp_path / "crop.png"))
    found = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    with torch.no_grad():
        squashed = transforms.resize(picture(), [224, 224], transforms.InterpolationMode.BICUBIC)
        pixels = transforms.normalize(transforms.to_tensor(squashed), clip.pixels.mean, clip.pixels.std)[None]
        best = (clip.encode_image(pixels, normalize=True) @ names.T).argmax()
    assert found.stdout == f"{NAMES[best]}\n", found.stderr[-2000:]
    assert main(["--to", "onnx", "--template", "a {}.", "--output", str(tmp_path / "other")]) == 2
    assert main(["--to", "transformers", "--precision", "fp16", "--output", str(tmp_path / "other")]) == 2


def test_a_pipeline_of_transformers_takes_an_adapter_of_tokens(tmp_path, caplog):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    clip = learnt("office-tiny", tmp_path, PromptConfig(), None, template="a photo of a {}.")
    transformers.utils.logging.enable_propagation()
    try:
        tagger = zero_shot_pipeline(clip)
    finally:
        transformers.utils.logging.disable_propagation()
    assert "not supported" not in caplog.text
    found = {row["label"]: row["score"] for row in tagger(picture(), candidate_labels=NAMES)}
    with torch.no_grad():
        image = clip.encode_image(clip.preprocess(picture())[None], normalize=True)
        cosines = image @ clip.encode_text(clip.tokenize(TEXTS), normalize=True).T
        expected = (clip.logit_scale.exp() * cosines).softmax(dim=-1)[0]
    assert close(torch.tensor([found[name] for name in NAMES]), expected)


def test_the_view_answers_as_a_clip_model_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = save("clip", tmp_path)
    view = TransformersCLIP(OpenDASCLIP.from_backbone(str(tmp_path)))
    pixels, ids = inputs("clip")
    with torch.no_grad():
        ours, expected = view(input_ids=ids, pixel_values=pixels), theirs(input_ids=ids, pixel_values=pixels)
    assert isinstance(ours, type(expected)) and isinstance(view.config, transformers.CLIPConfig)
    for name in ("logits_per_image", "logits_per_text", "image_embeds", "text_embeds"):
        assert close(ours[name], expected[name], 1e-4 if "logits" in name else 1e-5)
    assert all(map(close, features(view, pixels, ids), features(theirs, pixels, ids)))
    assert (view.dtype, view.device.type, view.config.model_type) == (torch.float32, "cpu", "clip")
    view.half()
    assert view.dtype == torch.float16


def test_the_view_scores_an_adapter_whose_texts_depend_on_the_image():
    pytest.importorskip("transformers", reason="transformers is not installed")
    conditional = PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
    clip = wrap(build_tiny(), conditional)
    open_clip.set_model_preprocess_cfg(clip.model, {"mean": [0.5] * 3, "std": [0.5] * 3} | _PIXELS)
    pixels, ids = torch.randn(2, 3, 32, 32), clip.tokenize(TEXTS)
    with torch.no_grad():
        expected = clip.classifier(ids)(clip.encode_image(pixels))
        found = TransformersCLIP(clip)(input_ids=ids, pixel_values=pixels)
    assert close(found.logits_per_image / clip.logit_scale.exp(), expected) and found.text_embeds is None


_PIXELS = {"interpolation": "bicubic", "resize_mode": "shortest", "size": 32, "mode": "RGB", "fill_color": 0}


def test_a_model_made_by_hand_says_so(tmp_path):
    clip = OpenDASCLIP(build_tiny(), BackboneConfig("by hand"))
    with pytest.raises(ValueError, match="by hand was made by hand"):
        save_transformers(clip, tmp_path / "x")
