"""Mask files in every form that users have are read as the same masks, or refused by name; nothing in them is run."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from scipy import sparse

from opendas_plugin.errors import DataError
from opendas_plugin.scenes.mask_arrays import read_masks, read_values, save_masks, sparse_masks

MASKS = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float16)
TENSOR = torch.from_numpy(MASKS.astype(np.float32))
SCORES = np.array([0.9, 0.8])


@pytest.mark.parametrize("masks", [MASKS, MASKS[:, :0]], ids=["some", "none"])
def test_masks_come_back_as_openmask3d_writes_them(tmp_path, masks):
    save_masks(tmp_path / "room_masks.pt", masks)
    torch.save(masks, tmp_path / "theirs_masks.pt")
    for name in ("room_masks.pt", "theirs_masks.pt"):
        assert read_values(tmp_path / name).dtype == np.float16
        np.testing.assert_array_equal(read_masks(tmp_path / name).toarray(), masks > 0)
    with pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(tmp_path / "room_masks.pt")  # the permission ends with the call


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(MASKS.astype(kind), id=f"numpy {kind}")
          for kind in ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "float16", "float32", "float64")),
        *(pytest.param(TENSOR.to(kind), id=str(kind))
          for kind in (torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
                       torch.float32, torch.float64)),
        pytest.param(torch.nn.Parameter(TENSOR), id="parameter"),
        pytest.param(TENSOR.to_sparse(), id="COO"),
        pytest.param(TENSOR.bool().to_sparse(), id="COO of bool"),
        pytest.param(TENSOR.bfloat16().to_sparse(), id="COO of bfloat16"),
        pytest.param(np.asfortranarray(MASKS), id="columns first"),
        pytest.param(8 * TENSOR - 5, id="logits"),
    ],
)  # fmt: skip
def test_every_kind_of_numbers_is_the_same_masks(tmp_path, content):
    torch.save(content, tmp_path / "masks.pt")
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.pt").toarray(), MASKS > 0)


def test_compressed_rows_are_the_same_masks(tmp_path):
    torch.save(TENSOR.to_sparse_csr(), tmp_path / "masks.pt")
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.pt").toarray(), MASKS > 0)


@pytest.mark.parametrize(
    "content",
    [
        (MASKS, SCORES),
        [TENSOR, torch.from_numpy(SCORES)],
        {"masks": TENSOR.to_sparse(), "scores": SCORES},
        {"pred_masks": MASKS, "pred_scores": SCORES, "pred_classes": np.array([3, 4])},
    ],
    ids=["pair", "list", "dict", "Mask3D's dict"],
)
def test_scores_beside_masks_are_left_aside_which_is_said(tmp_path, content, caplog):
    torch.save(content, tmp_path / "masks.pt")
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.pt").toarray(), MASKS > 0)
    assert "the masks alone are used, and not" in caplog.text
    assert "every mask has the score 1" in caplog.text


def test_numpys_and_scipys_own_files(tmp_path, caplog):
    np.save(tmp_path / "one.npy", MASKS)
    np.savez(tmp_path / "two.npz", MASKS)
    np.savez_compressed(tmp_path / "three.npz", masks=MASKS, scores=SCORES)
    for form in ("csr", "csc", "coo"):
        sparse.save_npz(tmp_path / f"{form}.npz", sparse.csr_matrix(MASKS.astype(np.float32)).asformat(form))
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_masks(path).toarray(), MASKS > 0)
    assert caplog.text.count("and not scores") == 1


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Evil(), "it asks for print"),
        ({"a": 1}, "holds a; expected points x masks"),
        ({"masks": MASKS, "pred_masks": MASKS}, "alone or named masks"),
        ([MASKS, MASKS, MASKS], "holds a list of 3"),
        ((MASKS, SCORES[:1]), "1 score for 2 masks"),
        (TENSOR.to(torch.complex64), "torch.complex64"),
        (TENSOR[None], r"torch.float32 \(1, 3, 2\)"),
        (MASKS[:, 0], r"shape \(3,\)"),
        (MASKS * np.nan, "no numbers"),
        ("masks", "holds a str"),
    ],
)
def test_what_holds_no_masks_is_refused_by_name_and_not_run(tmp_path, content, message, capsys):
    torch.save(content, tmp_path / "masks.pt")
    with pytest.raises(DataError, match=message) as error:
        read_masks(tmp_path / "masks.pt")
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_another_sparse_layout_is_refused_by_name(tmp_path):
    torch.save(TENSOR.to_sparse_csc(), tmp_path / "masks.pt")
    with pytest.raises(DataError, match=r"torch\.sparse_csc; expected .*dense, COO or CSR"):
        read_masks(tmp_path / "masks.pt")


def test_archives_that_are_odd_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", first=MASKS, second=MASKS)
    np.savez(tmp_path / "text.npz", np.array(["a"]))
    np.savez(tmp_path / "objects.npz", np.array([[Evil()]]))
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    sparse.save_npz(tmp_path / "outside.npz", sparse.csr_matrix(MASKS > 0))
    _change(tmp_path / "outside.npz", "indices.npy", lambda data: data[:-4] + b"\xff\xff\xff\x7f")
    np.savez(tmp_path / "long.npz", MASKS)
    _change(tmp_path / "long.npz", "arr_0.npy", lambda data: data.replace(b"(3, 2)", b"(3000000000, 2)"))
    for name, message in {
        "two": "holds first, second", "text": "holds <U1", "objects": "cannot be read as masks", "damaged": "cannot be",
        "outside": "cannot be read as masks", "long": "cannot be read as masks",
    }.items():  # fmt: skip
        with pytest.raises(DataError, match=message):
            read_masks(tmp_path / f"{name}.npz")


def _change(path, name, change):
    with zipfile.ZipFile(path) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in content.items():
            archive.writestr(entry, change(data) if entry == name else data)


def test_indices_outside_a_sparse_tensor_are_refused(tmp_path):
    tensor = torch.sparse_coo_tensor([[0, 9], [0, 0]], torch.ones(2), (3, 2), check_invariants=False)
    torch.save(tensor, tmp_path / "masks.pt")
    with pytest.raises(DataError, match="cannot be read as masks"):
        read_masks(tmp_path / "masks.pt")


def test_masks_that_are_turned_are_told():
    with pytest.raises(DataError, match=r"about 2 points, but the cloud has 3 \(they look turned"):
        sparse_masks(MASKS.T, 3)


@pytest.mark.parametrize("values", [[[0.1, 0.9], [0.8, 0.2]], [[1, 0], [2, 3]]], ids=["shares", "numbers"])
def test_shares_and_numbers_of_instances_are_no_masks(tmp_path, values):
    torch.save(np.array(values), tmp_path / "masks.pt")
    with pytest.raises(DataError, match="expected 0 and one other number"):
        read_masks(tmp_path / "masks.pt")
    np.savez(tmp_path / "masks.NPZ.npz", masks=MASKS, scores=np.ones(3))
    with pytest.raises(DataError, match="holds 3 scores for 2 masks"):
        read_masks(tmp_path / "masks.NPZ.npz")
