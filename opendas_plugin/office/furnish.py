"""What an office room holds: how many of each kind, and where each is usually found."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import box
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.layout import Builder, Item, Room
from opendas_plugin.office.names import OUTSIDE
from opendas_plugin.office.render import Light, Lighting

# name: mean number in a room; a fraction is the chance of one more
BIG = {"table": 1.2, "sofa": 0.7, "bookshelf": 1.2, "cabinet": 1.3, "filing cabinet": 1.2, "bench": 1.0}
SMALL = {
    "armchair": 0.9, "stool": 1.2, "coat rack": 1.0, "water cooler": 1.0, "trash can": 1.4, "potted plant": 1.4,
    "cardboard box": 1.5, "backpack": 1.1, "suitcase": 1.3, "umbrella": 1.1, "guitar": 1.2, "fan": 1.1,
}  # fmt: skip
TOPS = {
    "telephone": 1.2, "desk lamp": 1.3, "laptop": 1.3, "bottle": 1.8, "mug": 2.2, "book": 2.2, "paper tray": 1.3,
    "headphones": 1.4, "vase": 1.3, "globe": 1.3, "printer": 1.0, "microwave": 0.9,
}  # fmt: skip
WALLS = {  # and the height of the lower edge, metres
    "whiteboard": (1.2, (0.85, 1.05)), "poster": (1.6, (1.0, 1.5)), "picture frame": (1.7, (1.2, 1.6)),
    "clock": (1.2, (1.7, 2.1)), "wall outlet": (3.0, (0.25, 0.45)), "light switch": (2.2, (1.0, 1.25)),
    "fire extinguisher": (1.3, (0.6, 0.9)),
}  # fmt: skip
HOSTS = ("desk", "table", "cabinet", "filing cabinet", "bench", "bookshelf")


def furnish(rng: np.random.Generator) -> Room:
    """A new room, other for every state of ``rng``, the same for the same."""
    size = (rng.uniform(4.0, 7.0), rng.uniform(3.4, 6.0), rng.uniform(2.5, 3.1))
    builder = Builder(rng, size)
    _open_walls(builder)
    for _ in range(_number(rng, 2.2)):
        _work_place(builder)
    for name in _draw(rng, BIG):
        item = builder.stand(name, at_wall=name != "table" or rng.random() < 0.3)
        if item and name == "table":
            for _ in range(int(rng.integers(1, 4))):
                builder.seat(str(rng.choice(["office chair", "stool"])), item, around=True)
    for name in _draw(rng, {name: mean for name, (mean, _) in WALLS.items()}):
        builder.hang(name, WALLS[name][1])
    for name in _draw(rng, SMALL):
        builder.stand(name, at_wall=rng.random() < 0.7, turn=0.5)
    hosts = [item for item in builder.items if item.name in HOSTS]
    for name in _draw(rng, TOPS):
        builder.lay(name, hosts)
    _clutter(builder, hosts)
    return Room(size, tuple(builder.items), _lighting(rng, size))


def _number(rng: np.random.Generator, mean: float) -> int:
    return int(mean + rng.random())


def _draw(rng: np.random.Generator, means: dict[str, float]) -> list[str]:
    names = [name for name, mean in means.items() for _ in range(_number(rng, mean))]
    return [names[i] for i in rng.permutation(len(names))]


def _open_walls(builder: Builder) -> None:
    rng = builder.rng
    for _ in range(_number(rng, 1.2)):
        builder.hang("door", (0.0, 0.0), clear=0.8)
    for _ in range(_number(rng, 1.5)):
        frame = builder.hang("door frame", (0.0, 0.0), clear=0.8)
        if frame:
            _fill(builder, frame)
            builder.hang(
                "light switch", (1.0, 1.2), beside=(frame, float(rng.choice([-1, 1])) * rng.uniform(0.7, 0.85))
            )
    for _ in range(_number(rng, 1.8)):
        name = "window blinds" if rng.random() < 0.35 else "window"
        window = builder.hang(name, (0.85, 1.0), clear=0.4)
        if window and name == "window" and rng.random() < 0.3:
            _hang_blinds(builder, window)
        if window and rng.random() < 0.6:
            builder.hang("radiator", (0.08, 0.12), beside=(window, rng.uniform(-0.15, 0.15)))


def _fill(builder: Builder, frame: Item) -> None:
    """Puts a closed door into a door frame, or the dark of the next room."""
    rng, (low, high) = builder.rng, frame.mesh.turned(-frame.yaw).bounds
    width, height = (high - low)[[0, 2]] - (0.2, 0.1)
    middle = ((low + high)[0] / 2, high[1], 0.0)
    if rng.random() < 0.5:
        door = builder.make("door")
        fit = door.scaled((width / np.ptp(door.bounds[:, 0]), 1.0, height / np.ptp(door.bounds[:, 2])))
        builder.add(Item("door", fit.moved(middle).turned(frame.yaw), frame.yaw))
    else:
        shade = rng.uniform(0.02, 0.12) * np.array([1.0, 0.95, 0.85])
        builder.add(
            Item("doorway", box((width, 0.004, height), (0, 0, height / 2), shade).moved(middle).turned(frame.yaw))
        )


def _hang_blinds(builder: Builder, window: Item) -> None:
    """Lets blinds down before a window, half or nearly whole."""
    low, high = window.mesh.turned(-window.yaw).bounds
    blinds = builder.make("window blinds")
    width, height = (high - low)[[0, 2]] * (0.92, builder.rng.uniform(0.4, 0.8))
    fit = blinds.scaled((width / np.ptp(blinds.bounds[:, 0]), 1.0, height / np.ptp(blinds.bounds[:, 2])))
    at = ((low + high)[0] / 2, high[1] - 0.09, high[2] - height)
    builder.add(Item("window blinds", fit.moved(at).turned(window.yaw), window.yaw))


def _work_place(builder: Builder) -> None:
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
    if rng.random() < 0.8:
        builder.stand("computer tower", at_wall=True) if rng.random() < 0.6 else builder.lay("computer tower", [desk])


def _clutter(builder: Builder, hosts: list[Item]) -> None:
    """A few things whose names are in no vocabulary, and the projector."""
    rng = builder.rng
    for _ in range(_number(rng, 0.9)):
        builder.hang_from_ceiling("projector") if KINDS["projector"].mount == "ceiling" else builder.lay(
            "projector", hosts
        )
    for name in rng.choice([name for name in OUTSIDE if name in KINDS], 6, replace=False):
        mount = KINDS[name].mount
        if mount == "table":
            builder.lay(name, hosts)
        elif mount == "wall":
            builder.hang(name, (1.0, 1.4))
        elif mount == "ceiling":
            builder.hang_from_ceiling(name)
        elif mount == "floor":
            builder.stand(name, at_wall=True)


def _lighting(rng: np.random.Generator, size: tuple[float, float, float]) -> Lighting:
    """Two ceiling lamps of one tint, and weak light from the walls around."""
    warm = rng.uniform(-1, 1)
    tint = np.array([1 + 0.12 * warm, 1.0, 1 - 0.2 * warm])
    power = rng.uniform(0.5, 1.0)
    lamps = []
    for side in (-1, 1):
        at = (side * size[0] * rng.uniform(0.15, 0.3), size[1] * rng.uniform(-0.25, 0.25), size[2] - 0.15)
        lamps.append(Light(at, tuple(power * rng.uniform(0.5, 1.0) * tint), reach=3.0))
    return Lighting(tuple(lamps), tuple(rng.uniform(0.3, 0.5) * tint))
