"""What a room of all kinds holds: larger than an office, with things of every name that the tiny CLIPs know."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.furnish import (
    BIG,
    HOSTS,
    SMALL,
    TOPS,
    WALLS,
    draw,
    lighting,
    number,
    open_walls,
    shuffled,
    work_place,
)
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.layout import Builder, Item, Room
from opendas_plugin.office.names import OUTSIDE

SHARE = 0.55
"""Of what an office holds of each kind of its own; the other kinds take the place of the rest."""
OTHERS = {"floor": 17, "table": 16, "wall": 5, "ceiling": 2}
"""How many kinds beside those of an office a room holds, by where they are found."""
HARD = {
    "rug": 1.5, "brick wall": 1.5, "thermostat": 4.0, "air vent": 2.0, "broom": 2.0, "violin": 1.5, "gate": 1.5,
    "room divider": 1.5, "football": 2.5, "space heater": 2.0, "watering can": 2.0, "traffic cone": 1.5,
    "power strip": 3.0, "floor lamp": 1.5, "basket": 1.5, "skateboard": 1.5, "light bulb": 1.5, "smartphone": 1.5,
    "scanner": 5.0, "typewriter": 3.0, "hat": 3.0, "newspaper": 3.0, "notebook": 1.5,
}  # fmt: skip
"""How much oftener than others of its place a kind is drawn: those that a picture seldom shows in enough pixels."""
MORE_HOSTS = ("dresser", "workbench", "safe", "ottoman", "piano", "washing machine")
HANGS = {"thermostat": (1.2, 1.5), "air vent": (1.9, 2.2), "mirror": (0.7, 1.0), "dartboard": (1.3, 1.6)}
"""Heights of the lower edge, metres; what is not here reaches the floor, or hangs at 1.1 to 1.5."""
TO_THE_FLOOR = ("archway", "brick wall", "curtain", "elevator", "fireplace")


def furnish_all(rng: np.random.Generator) -> Room:
    """A new room with things of all kinds, other for every state of ``rng``, the same for the same."""
    size = (rng.uniform(6.0, 9.5), rng.uniform(5.0, 8.0), rng.uniform(2.8, 3.3))
    builder = Builder(rng, size)
    others = _others(rng)
    for name in others["wall"]:  # those that reach the floor need their place first
        if name in TO_THE_FLOOR:
            builder.hang(name, (0.0, 0.0), clear=0.4)
    open_walls(builder)
    for _ in range(number(rng, 1.3)):
        work_place(builder)
    _stand_all(builder, others["floor"])
    for name in draw(rng, {name: SHARE * mean for name, (mean, _) in WALLS.items()}):
        builder.hang(name, WALLS[name][1], clear=0.2)
    for name in others["wall"]:
        if name not in TO_THE_FLOOR:
            builder.hang(name, HANGS.get(name, (1.1, 1.5)))
    hosts = [item for item in builder.items if item.name in HOSTS + MORE_HOSTS]
    for name in _largest_first([*draw(rng, {name: SHARE * mean for name, mean in TOPS.items()}), *others["table"]]):
        builder.lay(name, hosts)
    for name in [*draw(rng, {"projector": 0.6}), *others["ceiling"]]:
        builder.hang_from_ceiling(name)
    if "rug" in others["floor"]:
        _spread(builder, "rug")
    return Room(size, tuple(builder.items), lighting(rng, size))


def _others(rng: np.random.Generator) -> dict[str, list[str]]:
    """Kinds beside those of an office, drawn for each place, the largest first."""
    found = {}
    for mount, count in OTHERS.items():
        names = [name for name in OUTSIDE if _mount(name) == mount]
        odds = np.array([HARD.get(name, 1.0) for name in names])
        drawn = rng.choice(names, min(count, len(names)), replace=False, p=odds / odds.sum())
        found[mount] = [str(name) for name in drawn]
    return found


def _mount(name: str) -> str:
    mount = KINDS[name].mount
    return "wall" if mount == "surface" else mount


def _stand_all(builder: Builder, others: list[str]) -> None:
    """Stands what is drawn of an office's furniture and of the other kinds, the largest first."""
    rng = builder.rng
    own = [
        *draw(rng, {name: SHARE * mean for name, mean in BIG.items()}),
        *draw(rng, {n: SHARE * m for n, m in SMALL.items()}),
    ]
    for name in _largest_first(shuffled(rng, [*own, *(name for name in others if name != "rug")])):
        item = builder.stand(name, at_wall=name != "table" and rng.random() < 0.7, turn=0.3)
        if item and name == "table":
            for _ in range(int(rng.integers(1, 3))):
                builder.seat(str(rng.choice(["office chair", "stool"])), item, around=True)


def _largest_first(names: list[str]) -> list[str]:
    """Names by the ground that one thing of each takes, those of one size as they came."""

    def ground(name: str) -> float:
        return float(np.ptp(KINDS[name].make(np.random.default_rng(0)).bounds[:, :2], axis=0).prod())

    return sorted(names, key=ground, reverse=True)


def _spread(builder: Builder, name: str) -> None:
    """Lays something flat on the floor, under what stands there."""
    rng, mesh = builder.rng, builder.make(name)
    yaw = int(rng.integers(4)) * np.pi / 2
    turned = mesh.turned(yaw)
    free = [max(builder.size[axis] / 2 - float(np.abs(turned.bounds[:, axis]).max()), 0.0) for axis in (0, 1)]
    at = (rng.uniform(-free[0], free[0]), rng.uniform(-free[1], free[1]), 0.001)
    builder.add(Item(name, turned.moved(at), yaw))
