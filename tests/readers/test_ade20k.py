"""ADE20K's scene-parsing benchmark: its label table, its layout, and its own three sample pairs."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.errors import MissingFileError
from opendas_plugin.readers.ade20k import NAMES, READER, SYNONYMS
from opendas_plugin.vocabulary import Vocabulary
from tests.data.layouts import make_ade20k
from tests.readers.reading import read_parts

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "ade20k_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"ADE20K's samples are not at {SAMPLES}")


def test_there_are_150_names_that_are_a_vocabulary():
    Vocabulary(NAMES)
    assert len(NAMES) == 150
    assert (NAMES[0], NAMES[14], NAMES[149]) == ("wall", "door", "flag")
    assert SYNONYMS[8] == ("windowpane", "window")


@needs_samples
def test_the_table_is_the_benchmarks():
    """Its CSV has a semicolon wherever the text file has a comma or a space between words of a synonym list."""
    with open(SAMPLES / "objectInfo150.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["Idx"]) for row in rows] == list(range(1, 151))
    for row, names in zip(rows, SYNONYMS, strict=True):
        assert re.split(r"[; ]", row["Name"]) == re.split(r", | ", ", ".join(names))


def test_both_splits_are_read_and_0_is_no_class(tmp_path):
    train, val = read_parts(READER, root=make_ade20k(tmp_path))
    assert train.names == val.names == NAMES
    assert (len(train.images), len(val.images)) == (6, 3)
    labels = [segment.label for segment in train.images[0].segments]
    assert labels == ["wall", "floor", "bed", "door"]
    assert train.images[0].dropped == {"ignored label value": 1}
    assert train.raw_names["floor"] == "floor, flooring"
    bed = train.images[0].segments[2].mask()
    assert (bed == (np.asarray(Image.open(tmp_path / "annotations/training/ADE_train_00000001.png")) == 8)).all()


@needs_samples
def test_the_sample_pairs_agree_with_a_direct_count():
    reading, val = read_parts(READER, root=SAMPLES / "sampleData", min_area=1)
    assert val is None and len(reading.images) == 3
    for image, path in zip(reading.images, sorted((SAMPLES / "sampleData" / "annotations").iterdir()), strict=True):
        counts = Counter(np.asarray(Image.open(path)).ravel().tolist())
        counts.pop(0, None)
        assert {segment.label: segment.area for segment in image.segments} == {
            NAMES[value - 1]: count for value, count in counts.items()
        }
        assert len(image.segments) == len(counts)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match="give the folder ADEChallengeData2016"):
        read_parts(READER, root=tmp_path)
