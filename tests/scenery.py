"""What the commands of the documents find in a user's folder, tiny: photos with labels, datasets, weights, scripts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import yaml

from opendas_plugin import runs
from opendas_plugin.runs.reproduce.rehearsal import SIZES, config, make_rehearsal
from tests.data.tiny_sams import make_sam
from tests.readers import ten_photos

KITCHEN = Path(__file__).parents[2] / "shared" / "data" / "redkitchen"
"""RGB-D frames, where this machine has them."""
SCRIPT = """import sys
import open_clip

open_clip.add_model_config("tiny.json")
print(type(open_clip.create_model("tiny", pretrained="weights/tiny-32.pt")), *sys.argv[1:])
"""


def make_scenery(folder: Path) -> None:
    """Writes all of it into an empty folder.

    ``ADEChallengeData2016``, ``KITTI-360``, ``scannetpp``, ``proposals`` and ``weights`` are those of a rehearsal; ten
    photos lie in ``photos`` with their labels in ``labels``, ``panoptic`` and ``instances.json``, in ``images`` with
    ``annotations.xml``, and in ``export`` as labelme leaves them.
    """
    make_rehearsal(folder)
    (folder / "made").unlink()
    for path in (folder / "weights").iterdir():  # in half precision, as OpenAI's files are, whoever reads them
        torch.save({name: value.half().float() for name, value in torch.load(path).items()}, path)
    ten_photos.LAYOUTS["cvat"].write(folder)
    ten_photos.panoptic(folder / "apart")
    for name in ("panoptic", "panoptic.json"):
        shutil.move(folder / "apart" / name, folder / name)
    shutil.move(folder / "apart" / "images", folder / "photos")
    content = ten_photos.coco_content(ten_photos.flat, lambda number: f"{number}.jpg")
    ten_photos.write(folder / "instances.json", json.dumps(content))
    for number in range(ten_photos.COUNT):
        ten_photos.save_map(folder / "labels" / f"{number}.png", ten_photos.truth(number))
    ten_photos.labelme(folder / "export")
    make_sam(folder / "sam")
    for name in ("ade20k_vitl14", "kitti360_vitl14", "scannetpp_vitl14_336"):
        recipe = {"base": name, "backbone": "weights/tiny-32.pt", "pretrained": None}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "offices.txt").write_text("b0\n")
    (folder / "names.txt").write_text("door\ndesk\n")
    (folder / "nouns.txt").write_text("".join(f"thing {letter}\n" for letter in "abcdefgh"))
    (folder / "classes.txt").write_text("1 wall\n2 office chair\n3 floor\n4 door\n")
    (folder / "mine.yaml").write_text("base: office\nvisual: {epochs: 1}\n")
    (folder / "tiny.json").write_text(json.dumps(config(SIZES[0])))
    (folder / "their_script.py").write_text(SCRIPT)
    ten_photos.write(folder / "their" / "module.py", SCRIPT)
    if KITCHEN.exists():
        (folder / "redkitchen").symlink_to(KITCHEN)


def learn_weights(folder: Path) -> None:
    """``runs/lora``, an adapter of weights, where the documents speak of one that is there."""
    data = folder / "runs" / "data" / "lora"
    runs.prepare("cvat", annotations=folder / "annotations.xml", images=folder / "images", output=data)
    runs.adapt(
        data=data, output_dir=folder / "runs" / "lora", method="lora", backbone=str(folder / "weights/tiny-32.pt")
    )
