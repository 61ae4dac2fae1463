"""What an office room holds: how many of each kind, and where each is usually found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import box
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.layout import Builder, Item, Room
from opendas_plugin.office.render import Light, Lighting

# name: mean number in a room, a fraction being the chance of one more
BIG = {
    "table": 1.2, "sofa": 1.2, "bench": 1.0, "umbrella": 1.1, "cabinet": 1.4, "armchair": 1.2, "bookshelf": 1.3,
    "filing cabinet": 1.1,
}  # fmt: skip
SMALL = {
    "suitcase": 1.2, "stool": 0.7, "coat rack": 1.0, "potted plant": 1.3, "cardboard box": 1.6, "water cooler": 1.0,
    "backpack": 1.4, "trash can": 1.3, "guitar": 1.1, "fire extinguisher": 1.2, "computer tower": 1.2,
}  # fmt: skip
TOPS = {  # what needs most space comes first
    "printer": 1.2, "microwave": 1.1, "fan": 1.1, "globe": 1.2, "desk lamp": 1.1, "paper tray": 1.2, "telephone": 1.2,
    "laptop": 1.2, "vase": 1.2, "bottle": 1.6, "mug": 1.6, "book": 1.8, "headphones": 1.3,
}  # fmt: skip
WALLS = {  # and the height of the lower edge, metres
    "whiteboard": (1.1, (0.85, 1.05)), "poster": (1.4, (1.0, 1.5)), "picture frame": (1.4, (1.2, 1.6)),
    "clock": (1.3, (1.6, 2.0)), "wall outlet": (4.5, (0.25, 0.45)), "light switch": (2.5, (1.0, 1.25)),
}  # fmt: skip
CLUTTER = (
    "air vent", "basket", "binder", "bowl", "bucket", "cactus", "calculator", "calendar", "camera", "ceiling fan",
    "coffee machine", "folding chair", "football", "hat", "helmet", "jar", "map", "newspaper", "nightstand", "notebook",
    "ottoman", "plate", "radio", "shopping bag", "smoke detector", "soda can", "space heater", "speaker", "stapler",
    "teapot", "thermostat", "toaster", "toolbox", "tripod", "trophy",
)  # fmt: skip
HOSTS = ("desk", "table", "cabinet", "filing cabinet", "bench")


def furnish(rng: np.random.Generator) -> Room:
    """A new room, other for every state of ``rng``, the same for the same."""
    size = (rng.uniform(4.0, 7.0), rng.uniform(3.4, 6.0), rng.uniform(2.5, 3.1))
    builder = Builder(rng, size)
    open_walls(builder)
    for _ in range(number(rng, 1.9)):
        work_place(builder)
    for name in shuffled(rng, draw(rng, BIG)):
        item = builder.stand(name, at_wall=name != "table" or rng.random() < 0.3)
        if item and name == "table":
            for _ in range(int(rng.integers(1, 4))):
                builder.seat(str(rng.choice(["office chair", "stool"])), item, around=True)
    for name in shuffled(rng, draw(rng, SMALL)):
        builder.stand(name, at_wall=rng.random() < 0.6, turn=0.5)
    for name in draw(rng, {name: mean for name, (mean, _) in WALLS.items()}):
        builder.hang(name, WALLS[name][1], clear=0.2)
    hosts = [item for item in builder.items if item.name in HOSTS]
    for name in draw(rng, TOPS):
        builder.lay(name, hosts)
    _clutter(builder, hosts)
    return Room(size, tuple(builder.items), lighting(rng, size))


def number(rng: np.random.Generator, mean: float) -> int:
    """A number of things: the mean, its fraction the chance of one more."""
    return int(mean + rng.random())


def draw(rng: np.random.Generator, means: dict[str, float]) -> list[str]:
    """Names in the order of ``means``, each as often as drawn."""
    return [name for name, mean in means.items() for _ in range(number(rng, mean))]


def shuffled(rng: np.random.Generator, names: list[str]) -> list[str]:
    """The same names in another order."""
    return [names[i] for i in rng.permutation(len(names))]


def open_walls(builder: Builder) -> None:
    """Doors, door frames, windows, and what belongs to them."""
    rng = builder.rng
    for _ in range(number(rng, 1.2)):
        builder.hang("door", (0.0, 0.0), clear=0.6)
    for _ in range(number(rng, 1.5)):
        frame = builder.hang("door frame", (0.0, 0.0), clear=0.6)
        if frame:
            _fill(builder, frame)
            aside = float(rng.choice([-1, 1])) * rng.uniform(0.7, 0.85)
            builder.hang("light switch", (1.0, 1.2), beside=(frame, aside))
    for _ in range(number(rng, 1.8)):
        name = "window blinds" if rng.random() < 0.35 else "window"
        window = builder.hang(name, (0.85, 1.0), clear=0.4)
        if window and name == "window" and rng.random() < 0.3:
            _hang_blinds(builder, window)
        if window and rng.random() < 0.6:
            builder.hang("radiator", (0.08, 0.12), beside=(window, rng.uniform(-0.15, 0.15)))


def _fill(builder: Builder, frame: Item) -> None:
    """Puts a closed door into a door frame, or the dark of the next room."""
    rng, (low, high) = builder.rng, frame.straight
    width, height = (high - low)[[0, 2]] - (0.2, 0.1)
    middle = ((low + high)[0] / 2, high[1], 0.0)
    if rng.random() < 0.5:
        door = builder.make("door")
        fit = door.scaled((width / np.ptp(door.bounds[:, 0]), 1.0, height / np.ptp(door.bounds[:, 2])))
        builder.add(Item("door", fit.moved(middle).turned(frame.yaw), frame.yaw))
    else:
        shade = rng.uniform(0.02, 0.12) * np.array([1.0, 0.95, 0.85])
        dark = box((width, 0.004, height), (0, -0.002, height / 2), shade)
        builder.add(Item("doorway", dark.moved(middle).turned(frame.yaw), frame.yaw))


def _hang_blinds(builder: Builder, window: Item) -> None:
    """Lets blinds down before a window, half or nearly whole."""
    low, high = window.straight
    blinds = builder.make("window blinds")
    width, height = (high - low)[[0, 2]] * (0.92, builder.rng.uniform(0.4, 0.8))
    fit = blinds.scaled((width / np.ptp(blinds.bounds[:, 0]), 1.0, height / np.ptp(blinds.bounds[:, 2])))
    at = ((low + high)[0] / 2, high[1] - 0.09, high[2] - height)
    builder.add(Item("window blinds", fit.moved(at).turned(window.yaw), window.yaw))


def work_place(builder: Builder) -> None:
    """A desk with a chair, a screen and what belongs to it."""
    rng = builder.rng
    desk = builder.stand("desk", at_wall=rng.random() < 0.6)
    if desk is None:
        return
    builder.seat("office chair", desk)
    side = float(rng.choice([-1, 1])) * 0.45 if rng.random() < 0.5 else 0.0
    builder.lay("monitor", [desk], spot=(side, 0.45), turn=0.25)
    if side and rng.random() < 0.4:
        builder.lay("monitor", [desk], spot=(-side, 0.45), turn=0.25)
    builder.lay("keyboard", [desk], spot=(side, -0.45), turn=0.1)
    builder.lay("computer mouse", [desk], spot=(side + 0.4, -0.5))


def _clutter(builder: Builder, hosts: list[Item]) -> None:
    """A projector, and a few things whose names are in no vocabulary."""
    names = [*draw(builder.rng, {"projector": 1.2}), *builder.rng.choice(CLUTTER, 7, replace=False)]
    for name in map(str, names):
        match KINDS[name].mount:
            case "table":
                builder.lay(name, hosts)
            case "wall":
                builder.hang(name, (1.1, 1.5))
            case "ceiling":
                builder.hang_from_ceiling(name)
            case _:
                builder.stand(name, at_wall=True)


def lighting(rng: np.random.Generator, size: tuple[float, float, float]) -> Lighting:
    """Two ceiling lamps of one tint, and weak light from the walls around."""
    warm = rng.uniform(-1, 1)
    tint = np.array([1 + 0.12 * warm, 1.0, 1 - 0.2 * warm])
    power = rng.uniform(0.5, 1.0)
    lamps = []
    for side in (-1, 1):
        at = (side * size[0] * rng.uniform(0.15, 0.3), size[1] * rng.uniform(-0.25, 0.25), size[2] - 0.15)
        lamps.append(Light(at, _colour(power * rng.uniform(0.5, 1.0) * tint), reach=3.0))
    return Lighting(tuple(lamps), _colour(rng.uniform(0.3, 0.5) * tint))


def _colour(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue
