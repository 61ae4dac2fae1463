"""Features that known programs keep on disk: apart below each adapter, and never another's."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError

HOSTS = Path(__file__).parents[1] / "hosts"


@pytest.fixture(autouse=True)
def hosts(tmp_path, monkeypatch):
    """Copies of the stand-ins, imported anew; the user's cache and the place of work are in ``tmp_path``."""
    for name in ("lerf", "hovsg", "open3dis"):
        shutil.copytree(HOSTS / name, tmp_path / "hosts" / name)
        monkeypatch.syspath_prepend(tmp_path / "hosts" / name)
    monkeypatch.syspath_prepend(tmp_path / "hosts" / "open3dis" / "tools")
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path / "home"))
    (tmp_path / "work" / "tools").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "tools")
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("lerf", "hovsg", "open3dis", "text_features")]:
        del sys.modules[name]


def lerf(model):
    module = importlib.import_module("lerf.data.utils.feature_dataloader")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    module.Dino({"image_shape": [32, 32]}, "cpu", images, "outputs/kitchen/dino.npy")
    cfg = {"model_name": "openclip_test-tiny"}
    return module.Pictures(cfg, "cpu", model, images, "outputs/kitchen/clip_openclip_test-tiny.npy").data


def hov_sg(model):
    return importlib.import_module("hovsg.utils.label_feats").get_label_feats(model, 64, "MATTERPORT")[0]


def open3dis(model):
    tokens = open_clip.tokenize(["door", "desk"])
    return importlib.import_module("text_features").text_features(model, tokens).numpy()


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("host", "wrapped"),
    [(lerf, ()), (hov_sg, ()), (open3dis, ()), (open3dis, ("load",)), (open3dis, ("load", "save"))],
)
def test_each_adapter_has_features_of_its_own_and_the_programs_files_stay(
    host, wrapped, make_adapter, weights, tiny_backbone, tmp_path, monkeypatch, caplog
) -> None:
    """Also where somebody has put a function of another signature in the place of torch's."""
    for name in wrapped:
        own = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *args, own=own, **kwargs: own(*args, **kwargs))

    def run(adapter, **options):
        with opendas.switched_on(adapter, **options):
            return host(open_clip.create_model(tiny_backbone, str(weights)))

    plain = host(open_clip.create_model(tiny_backbone, str(weights)))
    before = files(tmp_path / "hosts") | files(tmp_path / "work")
    tokens, merged = make_adapter("opendas"), make_adapter("opendas_plus")
    first = [run(tokens), run(merged), run(tokens, identity=True)]
    again = [run(tokens), run(merged), run(tokens, identity=True)]
    assert "it is neither read nor written" in caplog.text
    for found, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(found, same)
    np.testing.assert_allclose(first[2], plain, atol=1e-5)
    assert min(np.abs(first[0] - plain).max(), np.abs(first[1] - plain).max(), np.abs(first[0] - first[1]).max()) > 1e-2
    assert files(tmp_path / "hosts") | files(tmp_path / "work") == before
    np.testing.assert_array_equal(host(open_clip.create_model(tiny_backbone, str(weights))), plain)
    kept = [path for path in files(tmp_path / "home") if path.suffix in (".npy", ".pth")]
    assert len({path.parts[1] for path in kept}) == len(kept) == 3


def test_features_are_read_again_and_not_where_another_clip_was_loaded(
    make_adapter, weights, tiny_backbone, tmp_path
) -> None:
    adapter = make_adapter("opendas")

    def spoil_and_run(*others):
        for path in (tmp_path / "home").rglob("*.npy"):
            np.save(path, np.load(path) + 1)
        with opendas.switched_on(adapter):
            model = open_clip.create_model(tiny_backbone, str(weights))
            for seed in others:
                torch.manual_seed(seed)
                open_clip.create_model(tiny_backbone)
            return hov_sg(model)

    first = spoil_and_run()
    np.testing.assert_array_equal(spoil_and_run(), first + 1)
    np.testing.assert_array_equal(spoil_and_run(8), first)


def test_a_folder_of_another_adapter_is_refused_before_anything_runs(make_adapter, weights, tiny_backbone, tmp_path):
    one, other = make_adapter("opendas"), make_adapter("opendas", seed=2)
    with opendas.switched_on(one, features=tmp_path / "features"):
        hov_sg(open_clip.create_model(tiny_backbone, str(weights)))
    kept = files(tmp_path / "features")
    for adapter, options in ((other, {}), (one, {"identity": True})):
        with (
            pytest.raises(AdapterError, match=r"keeps features of the adapter .*opendas1 .*, not of"),
            opendas.switched_on(adapter, features=tmp_path / "features", **options),
        ):
            raise AssertionError
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text_feats_MATTERPORT.npy").touch()
    with (
        pytest.raises(AdapterError, match=r"holds files, but no opendas_features\.json"),
        opendas.switched_on(one, features=tmp_path / "mine"),
    ):
        raise AssertionError
    assert files(tmp_path / "features") == kept


def test_an_adapter_without_its_tensors_is_refused(make_adapter) -> None:
    adapter = make_adapter("opendas")
    (adapter / "adapter.safetensors").unlink()
    with pytest.raises(AdapterError, match=r"adapter\.safetensors could not be read"), opendas.switched_on(adapter):
        raise AssertionError


def test_another_version_of_a_program_is_said(make_adapter, weights, tiny_backbone, tmp_path, caplog) -> None:
    (tmp_path / "hosts/hovsg/hovsg/utils/label_feats.py").write_text("def label_feats():\n    return 1\n")
    with opendas.switched_on(make_adapter("opendas")):
        open_clip.create_model(tiny_backbone, str(weights))
        assert importlib.import_module("hovsg.utils.label_feats").label_feats() == 1
    assert "hovsg.utils.label_feats is not as it is known" in caplog.text
