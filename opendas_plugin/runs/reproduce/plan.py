"""The plan of a reproduction: what each step needs, what is still to be had, and what it costs on this device."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.tables import Table
from opendas_plugin.runs.reproduce import anchor, check, rivals
from opendas_plugin.runs.reproduce.counting import Counts, count, estimate
from opendas_plugin.runs.reproduce.document import device_facts
from opendas_plugin.runs.reproduce.place import Place, title_of
from opendas_plugin.runs.reproduce.sources import SOURCES, has_coops_split
from opendas_plugin.runs.reproduce.tiers import Weights
from opendas_plugin.runs.reproduce.timing import Pace, crops_a_second, pace
from opendas_plugin.runs.reproduce.weights import download_size
from opendas_plugin.wording import counted

logger = logging.getLogger(__name__)

_A_SEGMENT = 700  # bytes of a line of a manifest or of predictions


@dataclass(frozen=True)
class Part:
    """A step of the plan.

    Args:
        step: its name.
        about: what it works on.
        hours: on this device; None: not known.
        gib: peak of the memory; None: not known.
        disk: bytes that it writes.
        paces: (method, seconds of a batch) behind the hours.
    """

    step: str
    about: str
    hours: float | None = None
    gib: float | None = None
    disk: float = 0.0
    paces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Args:
        device: in words.
        parts: a step each.
        downloads: sentences.
        missing: what a person has to get, in sentences.
        seconds: that measuring took.
        known_bytes: of the downloads whose size is known.
    """

    device: str
    parts: tuple[Part, ...]
    downloads: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0
    known_bytes: int = 0

    def markdown(self) -> str:
        """The plan as people read it."""
        rows = tuple(
            (part.step, part.about, _hours(part.hours), "-" if part.gib is None else f"{part.gib:.2f}")
            for part in self.parts
        )
        known = [part.hours for part in self.parts if part.hours is not None]
        open_ = [part.step for part in self.parts if part.hours is None]
        total = f"{_hours(sum(known))} in all" + (f", without {', '.join(open_)}" if open_ else "")
        gib = (self.known_bytes + sum(part.disk for part in self.parts)) / 2**30
        lines = [
            f"Plan for {self.device}: {total}; about {gib:.2f} GiB of disk.",
            "",
            Table("", ("step", "what", "hours", "GiB of memory"), rows).markdown().strip(),
            "",
            f"Hours are from {self.seconds:.0f} s of measuring, a few steps of each method on random pixels with this "
            "many names; reading pictures, preparing data and the first minute of each run come on top.",
        ]
        paces = list(dict.fromkeys(one for part in self.parts for one in part.paces))
        lines += ["", *(f"- {one}" for one in paces)] if paces else []
        for title, sentences in (("To download", self.downloads), ("To get by hand", self.missing)):
            lines += ["", f"{title}:", "", *(f"- {one}" for one in sentences)] if sentences else []
        return "\n".join([*lines, ""])

    def require_room(self, place: Place) -> None:
        """Looks whether the disk has room for it.

        Raises:
            ConfigError: it has not.
        """
        wanted = self.known_bytes + sum(part.disk for part in self.parts)
        free = shutil.disk_usage(place.output).free
        if wanted > free:
            raise ConfigError(
                f"{place.output} has {free / 2**30:.1f} GiB of free disk and this needs about {wanted / 2**30:.1f}; "
                "free some, or choose another output"
            )


def make_plan(place: Place, steps: Sequence[str]) -> Plan:
    """Makes the plan of steps that are not done, measuring as much as it needs.

    Raises:
        ConfigError: a training does not fit into the device's memory; the message says what does.
        DataError: a dataset is laid out otherwise.
    """
    begin = time.perf_counter()
    builder = _Builder(place)
    parts = tuple(builder.part(step) for step in steps)
    weights = list(dict.fromkeys(one for step in steps for one in builder.weights(step)))
    downloads, known = list[str](), 0
    for one in weights:
        size = download_size(one, place.root)
        if size != 0:
            shown = "size not known offline" if size is None else f"{size / 2**30:.2f} GiB"
            downloads.append(f"{title_of(one)}, by open_clip from the Hugging Face hub ({shown})")
            known += size or 0
    data = list(dict.fromkeys(reader for step in steps for reader in builder.readers(step)))
    missing = list[str]()
    for reader in data:
        source, found = SOURCES[reader], SOURCES[reader].find(place.root)
        if found is None and source.owner is not None:
            downloads.append(f"{source.title}, by torchvision, which checks its MD5")
        if found is None and source.owner is None:
            missing.append(f"{source.title}: {source.manual}; its rows are left out until then")
        if reader in rivals.DATA and (found is None or not has_coops_split(source, found)):
            missing.append(
                f"{source.title}'s split of CoOp, without which its rows are not comparable: {source.manual}"
            )
    spent = time.perf_counter() - begin
    return Plan(_device(place), parts, tuple(downloads), tuple(missing), spent, known)


class _Builder:
    """Measures and counts what several steps share once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.speeds: dict[Weights, float] = {}
        self.paces: dict[tuple[Weights, str, int], Pace | None] = {}
        self.counted: dict[str, Counts | None] = {}

    def weights(self, step: str) -> list[Weights]:
        """The backbones of a step."""
        tier = self.place.tier
        own = {"check": check.used(self.place), "anchor": list(tier.anchors), "rivals": [tier.rivals], "hosts": []}
        return own.get(step, [self.place.trained])

    def readers(self, step: str) -> list[str]:
        """The datasets of a step."""
        own = {"check": [], "anchor": list(anchor.DATA), "rivals": list(rivals.DATA), "hosts": []}
        return own.get(step, [step])

    def part(self, step: str) -> Part:
        """A step's part."""
        if step == "check":
            return Part(step, "checksums, features of a few images, all names", 0.02)
        if step == "hosts":
            return Part(step, "OVSeg and OpenMask3D, each with and without an adapter; not measured")
        there = {reader: self.counts(reader) for reader in self.readers(step)}
        known = {reader: counts for reader, counts in there.items() if counts is not None}
        if not known:
            return Part(step, "its data are not there, or not read yet")
        if step == "anchor":
            return self._anchor(known)
        if step == "rivals":
            return self._trained(
                step, known, self.place.tier.rivals, rivals.METHODS, rivals.settings(self.place.tier.rival_depth)
            )
        return self._trained(step, known, self.place.trained, self.place.tier.methods, {})

    def _anchor(self, known: dict[str, Counts]) -> Part:
        sample, hours = self.place.tier.sample, 0.0
        segments = sum(min(sample or counts.val, counts.val) for counts in known.values())
        for weights in self.place.tier.anchors:
            hours += len(anchor.POLICIES) * segments / self.speed(weights) / 3600
        tried = len(anchor.POLICIES) * len(self.place.tier.anchors)
        about = f"{counted(tried, 'kind')} of crops on {counted(segments, 'segment')} of {_titles(known)}"
        return Part("anchor", about, hours, None, tried * segments * _A_SEGMENT)

    def _trained(self, step: str, known: dict[str, Counts], weights: Weights, rows: Sequence[str], own: object) -> Part:
        tier, hours, disk = self.place.tier, 0.0, 0.0
        shots, seeds = (tier.rival_shots, tier.rival_seeds) if step == "rivals" else (tier.shots, tier.seeds)
        gibs, said, about = list[float](), list[str](), list[str]()
        for reader, counts in known.items():
            train = counts.train if shots is None else min(counts.train, shots * counts.names[0])
            disk += (counts.train + counts.val) * _A_SEGMENT
            about.append(f"{counted(train, 'segment')} of {SOURCES[reader].title} to train, {counts.val:,} to judge by"
                         + ("" if counts.exact else " (estimated)"))  # fmt: skip
            for method in rows:
                found = self.pace(weights, method, counts.names[0], own)
                reports = len(methods.get(method).stages) + 1
                hours += seeds * reports * counts.val / self.speed(weights) / 3600
                disk += seeds * reports * counts.val * _A_SEGMENT
                if found is not None:
                    hours += seeds * found.hours(train)
                    disk += seeds * found.values * 4 * 3  # adapter, checkpoint and its momentum
                    gibs += [] if found.gib is None else [found.gib]
                    batch = f"{found.seconds:.2f} s a batch of {found.batch}"
                    whole = f"{found.hours(train):.2f} h for {counted(train, 'segment')}"
                    said.append(f"{method} on {title_of(weights)}, {counts.names[0]} names: {batch}, {whole}")
        return Part(step, "; ".join(about), hours, max(gibs, default=None), disk, tuple(said))

    def speed(self, weights: Weights) -> float:
        """Crops a second."""
        if weights not in self.speeds:
            logger.info("measuring %s", title_of(weights))
            batch = 64 if self.place.device.type == "cuda" else 4
            self.speeds[weights] = crops_a_second(weights, self.place.device, batch)
        return self.speeds[weights]

    def pace(self, weights: Weights, method: str, names: int, own: object) -> Pace | None:
        """What a batch of a method costs."""
        key = weights, method, names
        if key not in self.paces:
            logger.info("measuring %s on %s with %d names", method, title_of(weights), names)
            with tempfile.TemporaryDirectory() as folder:
                changes = own if isinstance(own, dict) else {}
                recipe = self.place.write_recipe(Path(folder) / "recipe.yaml", weights, {}, changes)
                self.paces[key] = pace(weights, method, names, recipe, self.place.device)
        return self.paces[key]

    def counts(self, reader: str) -> Counts | None:
        """How many segments a dataset has; None: it is not there, or is not known before it is read."""
        if reader not in self.counted:
            folder, root = self.place.output / "data" / reader, SOURCES[reader].find(self.place.root)
            if (folder / "vocabulary.json").exists():
                self.counted[reader] = count(folder)
            else:
                self.counted[reader] = None if root is None else estimate(self.place, reader, root)
        return self.counted[reader]


def _titles(known: dict[str, Counts]) -> str:
    return " and ".join(SOURCES[reader].title for reader in known)


def _hours(hours: float | None) -> str:
    if hours is None:
        return "-"
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"


def _device(place: Place) -> str:
    facts = device_facts(place.device)
    return (
        f"{facts['gpu']} ({facts['gpu_gib']} GiB)"
        if "gpu" in facts
        else f"{facts['device']}, threads: {facts['threads']}"
    )
