"""A stage of training by itself: what it learns, against which names, from crops or from features encoded once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from opendas_plugin import methods
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.errors import ConfigError, TrainingError
from opendas_plugin.methods import Stage
from opendas_plugin.methods.zero_shot import ensemble_features
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.construct import first_line
from opendas_plugin.model.passes import checkpointed
from opendas_plugin.model.tower import TowerName
from opendas_plugin.model.weights import LowRankWeights
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.negatives.mining import Candidates, own_candidates, pool_candidates, training_candidates
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.distributed import World
from opendas_plugin.train.entropy import EntropyObjective
from opendas_plugin.train.hold import make_hold
from opendas_plugin.train.inputs import CropInputs, FeatureInputs, Inputs, TrainingData
from opendas_plugin.train.loggers import StepLog
from opendas_plugin.train.loop import run_steps
from opendas_plugin.train.objective import Objective
from opendas_plugin.train.pulls import Pull
from opendas_plugin.train.regulation import Regulation
from opendas_plugin.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

ENCODED_TOGETHER = 64
"""Segments a forward where features are kept."""


def train_stage(
    clip: OpenDASCLIP,
    data: TrainingData,
    config: TrainConfig,
    name: str,
    *,
    negatives: NegativeDatabase | None = None,
    features: Tensor | None = None,
    log: StepLog | None = None,
    save: Callable[[int, Mapping[str, Tensor]], None] | None = None,
    done: int = 0,
    remembered: Mapping[str, Tensor] | None = None,
    world: World | None = None,
) -> None:
    """Learns what one stage learns, on top of the prompts that ``clip`` has from the stages before.

    Args:
        clip: the backbone and its prompts, on the device to use.
        data: what to learn from.
        config: how.
        name: of the stage.
        negatives: related names; needed where the triplet loss mines in them.
        features: of all segments by :func:`segment_features`; None encodes them, where the stage can do with them.
        log: takes a line a step.
        save: called with the steps done and the optimiser's state, every ``checkpoint_every`` steps.
        done: steps that were done before.
        remembered: the optimiser's state after them.
        world: the processes that share the work.

    Raises:
        ConfigError, DataError: the triplet loss lacks related names, or they do not fit the classes.
        TrainingError: a loss was not a finite number, or the image tower cannot be compiled here.
    """
    world = world or World()
    stages = methods.get(config.method).stages
    number = next(number for number, stage in enumerate(stages) if stage.name == name)
    stage = stages[number]
    images = config.compile and "visual" in stage.learns
    with _learning(clip, stage) as parameters, checkpointed(config.grad_checkpointing), _compiled(clip, images):
        if not parameters:
            logger.info("stage %s has nothing to learn and is passed over", name)
            return
        for tower in stage.learns:
            if config.grad_checkpointing and (lacking := getattr(clip.towers, tower).no_tokens) is not None:
                logger.warning("grad_checkpointing saves nothing in the %s tower, which lacks %s", tower, lacking)
        work = _labelled if stage.labels else _unlabelled
        task = work(clip, data, config, stage, number, negatives, features, world)
        run_steps(
            name,
            number,
            task.objective,
            task.inputs,
            task.labels,
            config,
            log or StepLog(None, world),
            save or (lambda step, remembered: None),
            world,
            frozen=task.frozen,
            done=done,
            remembered=remembered,
        )
        if isinstance(task.objective, Objective):
            task.objective.finish()


@dataclass(frozen=True)
class _Task:
    """What a stage's steps minimise and read."""

    objective: Objective | EntropyObjective
    inputs: Inputs
    labels: Tensor
    frozen: Tensor | None = None


def _unlabelled(clip: OpenDASCLIP, data: TrainingData, config: TrainConfig, *_: object) -> _Task:
    """Of a stage that looks at no names."""
    crops = data.unlabelled or data.crops
    return _Task(
        EntropyObjective(clip, data.vocabulary, autocast=_in_bf16(clip, config)),
        CropInputs(crops, clip.logit_scale.device, config.augmentation, config.workers),
        torch.zeros(len(crops), dtype=torch.long),
    )


def _labelled(
    clip: OpenDASCLIP,
    data: TrainingData,
    config: TrainConfig,
    stage: Stage,
    number: int,
    negatives: NegativeDatabase | None,
    features: Tensor | None,
    world: World,
) -> _Task:
    """Of a stage that learns the segments' names; the arguments are those of :func:`train_stage`."""
    candidates = find_candidates(clip, data.vocabulary, config, negatives) if stage.triplet else None
    names = candidates.names if candidates else data.vocabulary.base
    consistency = getattr(config, stage.name).consistency
    objective = Objective(
        clip,
        data.vocabulary.texts(names),
        stage.learns,
        active_towers(methods.get(config.method).stages, number),
        candidates,
        config.triplet,
        consistency,
        find_pulls(clip, data.vocabulary, config, stage),
        config.loss,
        autocast=_in_bf16(clip, config),
    )
    inputs: Inputs = CropInputs(data.crops, clip.logit_scale.device, config.augmentation, config.workers)
    frozen, fixed = None, config.augmentation.kind == "none"
    if "visual" not in stage.learns and fixed:
        inputs = FeatureInputs(segment_features(clip, data, config, world) if features is None else features)
    if (config.regulation.pulls or (consistency and "visual" in stage.learns)) and fixed:
        with clip.prompts_disabled():
            frozen = segment_features(clip, data, config, world)
    return _Task(objective, inputs, data.labels, frozen)


@torch.no_grad()
def segment_features(clip: OpenDASCLIP, data: TrainingData, config: TrainConfig, world: World | None = None) -> Tensor:
    """Encodes every segment once, without augmentation, the visual prompts at work.

    Returns:
        (M, D) fp32, on the device of ``clip``, in every process.
    """
    world, device = world or World(), clip.logit_scale.device
    own = range(len(data.crops))[world.share(len(data.crops))]
    batches = [own[first : first + ENCODED_TOGETHER] for first in range(0, len(own), ENCODED_TOGETHER)]
    crops = CropInputs(data.crops, device, Augmentation(), config.workers)(batches)
    features = []
    for batch in tqdm(crops, "encode segments", len(batches), unit="batch", disable=None if world.writes else True):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=_in_bf16(clip, config)):
            features.append(clip.encode_image(clip.pixels.normalise(batch)).float().cpu())
    return torch.cat(list(world.gather(torch.cat(features)))).to(device)


def active_towers(stages: Sequence[Stage], number: int) -> tuple[TowerName, ...]:
    """The towers whose prompts are at work in stage ``number``: what it and the stages before it learn."""
    return tuple(dict.fromkeys(tower for stage in stages[: number + 1] for tower in stage.learns))


@contextlib.contextmanager
def _compiled(clip: OpenDASCLIP, on: bool) -> Iterator[None]:
    """Runs the image tower by torch.compile, if it is ``on``.

    Raises:
        TrainingError: it cannot be compiled.
    """
    if not on:
        yield
        return
    from torch._dynamo.exc import BackendCompilerFailed

    passes = ("encode_image", "encode_image_layers")
    for name in passes:
        setattr(clip, name, torch.compile(getattr(clip, name)))
    try:
        yield
    except BackendCompilerFailed as error:
        said = f"torch.compile cannot compile the image tower here ({first_line(error)})"
        raise TrainingError(f"{said}; install a C++ compiler, such as g++, or leave `compile` out") from error
    finally:
        for name in passes:
            delattr(clip, name)


@contextlib.contextmanager
def _learning(clip: OpenDASCLIP, stage: Stage) -> Iterator[list[nn.Parameter]]:
    """Lets only what a stage learns learn, at its full share, and yields it."""
    towers: tuple[TowerName, ...] = ("visual", "text")
    for tower in towers:
        for module in clip.learnt_modules(tower):
            module.requires_grad_(tower in stage.learns)
            for part in module.modules():
                if isinstance(part, LowRankWeights):
                    part.requires_grad_(tower in stage.learns and stage.low_rank)
    try:
        with clip.unmixed():
            yield [parameter for parameter in clip.prompt_parameters() if parameter.requires_grad]
    finally:
        for parameter in clip.prompt_parameters():
            parameter.requires_grad_(True)


def find_pulls(clip: OpenDASCLIP, vocabulary: Vocabulary, config: TrainConfig, stage: Stage) -> list[Pull]:
    """What the recipe adds to a stage's loss.

    Raises:
        ConfigError, DataError, MissingFileError: the names to hold cannot be had.
    """
    pulls: list[Pull] = []
    if config.regulation.pulls:
        pulls.append(Regulation(config.regulation, ensemble_features(clip, vocabulary.base)))
    if config.hold.weight and "text" in stage.learns:
        pulls.append(make_hold(clip, vocabulary, config.hold))
    return pulls


def find_candidates(
    clip: OpenDASCLIP, vocabulary: Vocabulary, config: TrainConfig, negatives: NegativeDatabase | None
) -> Candidates | None:
    """The names that may be negatives; None where the triplet loss is off or no name is left."""
    if not config.triplet.enabled:
        return None
    if config.triplet.mining == "training":
        with torch.no_grad(), clip.prompts_disabled():
            text = clip.encode_text(clip.tokenize(vocabulary.texts(vocabulary.base)))
        candidates = training_candidates(vocabulary.base, text)
    elif negatives is None:
        raise ConfigError(
            f"mining {config.triplet.mining!r} needs related names; give a database or mine in 'training'"
        )
    else:
        find = pool_candidates if config.triplet.mining == "pool" else own_candidates
        candidates = find(vocabulary.base, negatives.related(vocabulary))
    if not candidates.rows.shape[1]:
        logger.warning("there is no related name to learn against: the triplet loss is left out")
        return None
    return candidates


def _in_bf16(clip: OpenDASCLIP, config: TrainConfig) -> bool:
    return config.precision == "bf16" or (config.precision == "auto" and clip.logit_scale.device.type == "cuda")
