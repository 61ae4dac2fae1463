"""Which groups of images validate, and which names are novel: pure functions of their arguments and a seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.names import NameTable, check_names
from opendas_plugin.wording import counted


def validation_groups(sizes: Mapping[str, int], fraction: float, seed: int) -> set[str]:
    """Draws whole groups until about ``fraction`` of the images are in them; both sides get at least one group.

    Args:
        sizes: group -> number of images.
        fraction: in (0, 1).
        seed: the draw depends on it and on ``sizes`` alone.

    Raises:
        ConfigError: the fraction is not in (0, 1).
        DataError: there is only one group.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"expected a validation fraction between 0 and 1, got {fraction}")
    if len(sizes) < 2:
        raise DataError(
            f"expected two groups of images or more to split, got {len(sizes)}; regroup or give validation data"
        )
    names = sorted(sizes)
    drawn = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    wanted, taken, chosen = fraction * sum(sizes.values()), 0, set(drawn[:1])
    for group in drawn[:-1]:  # the last one always trains
        if taken + sizes[group] / 2 <= wanted:
            chosen.add(group)
            taken += sizes[group]
    return chosen


def draw_novel(names: Sequence[str], seen: Collection[str], fraction: float, seed: int) -> tuple[str, ...]:
    """Draws ``fraction`` of ``names``, at least one, as novel, out of those with a validation segment, ``seen``.

    Raises:
        ConfigError: the fraction is not in (0, 1).
        DataError: there are too few names to draw from.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"expected a fraction of novel names between 0 and 1, got {fraction}")
    candidates, count = [name for name in names if name in seen], max(1, round(fraction * len(names)))
    if count > len(candidates) or count >= len(names):
        raise DataError(
            f"{fraction} of {len(names)} names makes {counted(count, 'novel name')}, but only "
            f"{counted(len(candidates), 'has', 'have')} a validation "
            "segment; choose a smaller fraction"
        )
    drawn = set(np.random.default_rng(seed).choice(len(candidates), count, replace=False).tolist())
    return tuple(name for place, name in enumerate(candidates) if place in drawn)


def match_names(names: Sequence[str], wanted: Sequence[str], what: str = "novel names") -> tuple[str, ...]:
    """The names of the vocabulary that ``wanted`` means, in its order; case, plural and the like may differ.

    ``what`` is the list of wanted names, in errors.

    Raises:
        DataError: a wanted name is empty, repeated or not in the vocabulary.
    """
    check_names(wanted, what)
    found = NameTable(names).find_all(wanted)
    unknown = [name for name in wanted if found[name] is None]
    if unknown:
        raise DataError(
            f"{unknown[0]!r} of the {what} is not one of the {len(names)} class names; correct or remove it"
        )
    chosen = set(found.values())
    return tuple(name for name in names if name in chosen)
