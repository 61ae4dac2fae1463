"""The loop over images: order, errors, and the journal by which a killed run goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.data.reading import ImageReading, Journal, read_images
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError

ITEMS = [f"image {number}" for number in range(50)]


class Reader:
    """Reads items into one segment each, and fails at one of them if told so."""

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.seen = []

    def __call__(self, item):
        if item == self.fails_at:
            raise DataError("broken picture")
        self.seen.append(item)
        mask = np.zeros((5, 6), bool)
        mask[: 1 + len(item) % 4] = True
        return ImageReading("group", [Segment.from_mask(Path(item), mask, item, "group")], Counter({"small": 2}))


def read(reader, journal=None, items=ITEMS, workers=3):
    kept = Journal(journal, "train", items).load()
    read_images(reader, items, kept, workers=workers, progress="reading")
    return kept.images()


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_is_that_of_the_items(workers):
    found = read(Reader(), workers=workers)
    assert [image.segments[0].label for image in found] == ITEMS


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    journal = tmp_path / "partial"
    with pytest.raises(DataError, match="broken picture"):
        read(Reader(fails_at="image 30"), journal)
    second = Reader()
    found = read(second, journal)
    assert sorted(second.seen, key=ITEMS.index) == ITEMS[30:]
    assert found == read(Reader())
    third = Reader()
    assert read(third, journal) == found and not third.seen


def test_a_line_that_was_cut_off_is_read_again(tmp_path):
    journal = tmp_path / "train.0.jsonl"
    whole = read(Reader(), tmp_path)
    content = journal.read_bytes()
    for end in (len(content) - 1, len(content) - 40, 10, 0):
        journal.write_bytes(content[:end])
        assert read(Reader(), tmp_path) == whole
        assert journal.read_bytes() == content


def test_a_journal_of_other_images_is_refused(tmp_path):
    read(Reader(), tmp_path)
    with pytest.raises(ConfigError, match="of other images"):
        read(Reader(), tmp_path, items=ITEMS[1:])
    journal = tmp_path / "train.0.jsonl"
    journal.write_bytes(journal.read_bytes()[:80] + b"\nnonsense\n")
    with pytest.raises(DataError, match="is damaged"):
        read(Reader(), tmp_path)


def test_a_run_goes_on_from_the_journals_of_several_writers(tmp_path):
    for writer, places in enumerate((range(20), range(30, 45))):
        journal = Journal(tmp_path, "train", ITEMS, writer)
        journal.todo = places
        read_images(Reader(), ITEMS, journal, workers=2, progress=None)
    last = Reader()
    assert read(last, tmp_path) == read(Reader())
    assert sorted(last.seen, key=ITEMS.index) == [*ITEMS[20:30], *ITEMS[45:]]
