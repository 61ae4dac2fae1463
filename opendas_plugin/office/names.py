"""The names of the office domain: its classes, the two novel lists, and what else the tiny CLIP has seen."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

BASE: tuple[str, ...] = (
    "wall", "floor", "ceiling", "door", "window", "radiator", "desk", "office chair", "sofa", "bookshelf", "cabinet",
    "monitor", "keyboard", "computer mouse", "computer tower", "printer", "telephone", "projector", "desk lamp",
    "bottle", "book", "backpack", "trash can", "potted plant", "cardboard box", "clock", "poster", "paper tray",
    "coat rack", "fan", "armchair", "microwave",
)  # fmt: skip

NOVEL_TEST: tuple[str, ...] = (
    "door frame", "wall outlet", "table", "stool", "whiteboard", "mug", "suitcase", "fire extinguisher", "globe",
    "umbrella",
)  # fmt: skip

NOVEL_TUNE: tuple[str, ...] = (
    "light switch", "window blinds", "bench", "filing cabinet", "laptop", "picture frame", "vase", "headphones",
    "water cooler", "guitar",
)  # fmt: skip

CLASSES: tuple[str, ...] = BASE + NOVEL_TEST + NOVEL_TUNE

PAIRS: tuple[tuple[str, str], ...] = (
    ("door", "door frame"),
    ("wall", "wall outlet"),
    ("desk", "table"),
    ("office chair", "stool"),
    ("monitor", "whiteboard"),
)
"""Base classes and the novel partner that they are taken for, as the paper's figures show."""

OUTSIDE: tuple[str, ...] = (
    # the building
    "brick wall", "fence", "curtain", "room divider", "elevator", "rug", "staircase", "wooden pallet", "skylight",
    "ceiling fan", "chandelier", "smoke detector", "air vent", "gate", "archway", "mirror", "fireplace", "thermostat",
    # furniture
    "bed", "nightstand", "wardrobe", "workbench", "drafting table", "ottoman", "rocking chair", "folding chair",
    "bean bag", "hammock", "dresser", "locker", "safe", "mailbox", "display case", "wine rack", "shoe rack", "ladder",
    # machines
    "television", "smartphone", "calculator", "camera", "speaker", "game controller", "remote control", "scanner",
    "radio", "microphone", "typewriter", "server rack", "toaster", "refrigerator", "washing machine",
    "coffee machine", "vending machine", "space heater", "power strip", "light bulb", "floor lamp", "candle",
    "flashlight",
    # tableware and stationery
    "bowl", "wine glass", "plate", "teapot", "jar", "soda can", "stapler", "binder", "envelope", "newspaper",
    "notebook", "calendar", "map", "hourglass", "trophy",
    # bags, tools, plants, music, sport
    "handbag", "shopping bag", "wooden crate", "basket", "toolbox", "bucket", "watering can", "broom", "traffic cone",
    "tripod", "flag", "dartboard", "hat", "helmet", "football", "skateboard", "cactus", "flower", "tree", "piano",
    "drum", "violin",
)  # fmt: skip
"""Names outside the domain that the tower has learnt as well; the related names of the classes come from here."""

NAMES: tuple[str, ...] = CLASSES + OUTSIDE
"""Every name that the tiny CLIP was pre-trained on."""


def write_related_names(folder: Path) -> None:
    """Leaves the related names of the classes as ``folder/negatives.json``, where a domain has its own."""
    shutil.copyfile(str(files("opendas_plugin.office") / "negatives.json"), folder / "negatives.json")
