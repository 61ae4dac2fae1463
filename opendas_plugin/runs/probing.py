"""A look at prepared data before training: what is wrong with it, what it will cost, and whether to adapt at all."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.data.learnt_pictures import learnt_pictures, picture_digests
from opendas_plugin.errors import ConfigError, DataError, OpenDASError
from opendas_plugin.files import write_json, write_text
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.models import DEFAULT_BACKBONE, ClipRun, say_model
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.recipe import default_recipe, read_recipe
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    from opendas_plugin.eval.crop_choice import CropChoice
    from opendas_plugin.eval.probing import NameLook, NearCopy
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.runs.probe_result import Probed

RESULT = "probe.json"
METHOD = "opendas_plus"
MOST_PICTURES = 2000
"""Pictures of each part that are compared with those of the other."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe(ClipRun["Probed"], ReportedRun["Probed"]):
    """Looks at prepared data before training: names, counts, sizes, pictures in both parts, crops, cost, and a verdict.

    Nothing is learnt, and nothing but the number of the validation segments' names and their pictures is looked at.
    """

    data: Path
    """Folder that opendas-prepare wrote."""
    output: Path | None = None
    """Folder for report.html, probe.json and recipe.yaml; default: probe- and the data's name in runs/."""
    _: KW_ONLY
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    sample: int = 500
    """Training segments that labels are tried on, and by which crops are compared in each round."""
    rounds: int = 4
    """Rounds at most in which crops are compared; those that are told to be worse leave early."""
    workers: int = 2
    """Threads that decode and crop."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.adapter is not None:
            raise ConfigError("a probe looks at plain CLIP, before anything is learnt; give `backbone`, not `adapter`")
        for name, value in (("sample", self.sample), ("rounds", self.rounds)):
            if value < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {value}")

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.output or Path("runs") / f"probe-{self.data.resolve().name}"

    def work(self, record: RunRecord) -> Probed:
        """Looks, and writes what it found."""
        from opendas_plugin.eval.crop_choice import choose_crops
        from opendas_plugin.runs.probe_advice import advise
        from opendas_plugin.runs.probe_cost import measure_cost
        from opendas_plugin.runs.probe_report import probe_page
        from opendas_plugin.runs.probe_result import Probed

        backbone, device = self.backbone or DEFAULT_BACKBONE, pick_device(self.device)
        say_model(device, backbone, self.pretrained, 0)
        domain = load_domain(self.data, self.images_root)
        record.begin(self.folder)
        clip = self.clip()
        names, unreadable = self._names(clip, domain)
        begun = time.perf_counter()
        kept = _readable(domain.vocabulary, unreadable)
        segments = [s for s in domain.train if s.label not in unreadable] if unreadable else domain.train
        choice = choose_crops(clip, segments, kept, workers=self.workers, sample=self.sample, rounds=self.rounds)
        forward = (time.perf_counter() - begun) / choice.crops
        curve = self._curve(clip, domain, choice, unreadable)
        config = self._config(backbone, choice)
        same, copies = self._shared(domain)
        cost = None
        try:
            cost = measure_cost(domain, config, device, forward)
        except OpenDASError as error:
            logger.warning("the cost is not known: %s", error)
        advice = advise(domain, names, unreadable, same, copies, choice, curve, METHOD)
        found = Probed(self.folder, advice, choice, cost, curve, names, copies)
        self._write(found, backbone)
        record.write(self.folder)
        if self.report:
            call = call_of("opendas.runs.probe", self)
            save_page(lambda: probe_page(record, domain, found, clip.backbone.title, call), self.folder)
        return found

    def _names(self, clip: OpenDASCLIP, domain: Domain) -> tuple[NameLook | None, dict[str, str]]:
        """What the text tower makes of the names, and those that it cannot read, with the reason."""
        from opendas_plugin.eval.probing import look_at_names
        from opendas_plugin.labeller import Labeller

        unreadable = {}
        for name, text in zip(domain.vocabulary.names, domain.vocabulary.texts(), strict=True):
            try:
                clip.tokenize([text])
            except DataError as error:
                unreadable[name] = str(error)
        kept = _readable(domain.vocabulary, unreadable)
        labeller = Labeller(clip, kept, template=kept.template, workers=self.workers)
        return look_at_names(labeller.text), unreadable

    def _curve(
        self, clip: OpenDASCLIP, domain: Domain, choice: CropChoice, unreadable: Mapping[str, str]
    ) -> Mapping[int, float]:
        """What labelled segments bring without training, on a sample of the training segments."""
        places = np.sort(np.random.default_rng(1).permutation(len(domain.train))[: self.sample])
        chosen = [s for s in (domain.train[place] for place in places) if s.label not in unreadable]
        base = Vocabulary(_readable(domain.vocabulary, unreadable).base, (), domain.vocabulary.template)
        from opendas_plugin.eval.probing import label_curve
        from opendas_plugin.labeller import Labeller

        labeller = Labeller(clip, base, template=base.template, crops=choice.chosen, workers=self.workers)
        if len({segment.label for segment in chosen}) < 2:
            return {}
        support = labeller.with_segments(chosen).text.support
        if support is None:
            return {}
        groups = [segment.group for segment in chosen]
        groups = groups if len(set(groups)) > 1 else [str(segment.image) for segment in chosen]
        return label_curve(labeller.text, support.features, [segment.label for segment in chosen], groups)

    def _shared(self, domain: Domain) -> tuple[list[Path], tuple[NearCopy, ...]]:
        """Validation pictures that are training pictures, and those that look like one."""
        from opendas_plugin.eval.probing import near_copies

        train, val = ([*dict.fromkeys(s.image for s in part)] for part in (domain.train, domain.val))
        same, _ = learnt_pictures(picture_digests(train), val)
        same = list(dict.fromkeys([*same, *(picture for picture in val if picture in set(train))]))
        rest = [picture for picture in val if picture not in set(same)]
        rng = np.random.default_rng(0)
        some = [[part[p] for p in np.sort(rng.permutation(len(part))[:MOST_PICTURES])] for part in (rest, train)]
        return same, tuple(near_copies(*some))

    def _config(self, backbone: str, choice: CropChoice) -> TrainConfig:
        changes = {"backbone": backbone, "pretrained": self.pretrained, "tokenizer": self.tokenizer}
        config = read_recipe(default_recipe(backbone), METHOD, {k: v for k, v in changes.items() if v is not None})
        return dataclasses.replace(config, crops=choice.chosen, auto_crops=False)

    def _write(self, found: Probed, backbone: str) -> None:
        crops = {key: value for key, value in found.choice.chosen.to_dict().items() if key != "size"}
        recipe: dict[str, Any] = {"base": default_recipe(backbone), "backbone": backbone, "method": METHOD}
        recipe |= {"crops": crops}
        recipe |= {k: getattr(self, k) for k in ("pretrained", "tokenizer") if getattr(self, k) is not None}
        about = f"# Written by opendas-probe for {self.data}: crops by plain CLIP's accuracy on training segments.\n"
        write_text(found.recipe, about + yaml.safe_dump(recipe, sort_keys=False))
        cost = found.cost
        copies = [
            {"picture": str(copy.picture), "like": str(copy.like), "correlation": copy.correlation}
            for copy in found.copies
        ]
        write_json(
            self.folder / RESULT,
            {
                "verdict": list(found.advice.verdict),
                "findings": [dataclasses.asdict(one) for one in found.advice.findings],
                "crops": found.choice.record(),
                "label_curve": {str(count): value for count, value in found.curve.items()},
                "names": None if found.names is None else dataclasses.asdict(found.names),
                "near_copies": copies,
                "cost": None if cost is None else {**dataclasses.asdict(cost), "seconds": cost.seconds},
            },
        )


probe = function_of(Probe, "probe")


def _readable(vocabulary: Vocabulary, unreadable: Mapping[str, str]) -> Vocabulary:
    """The vocabulary without the names that the text tower cannot read."""
    if not unreadable:
        return vocabulary
    names = tuple(name for name in vocabulary.names if name not in unreadable)
    return Vocabulary(names, tuple(name for name in vocabulary.novel if name not in unreadable), vocabulary.template)
