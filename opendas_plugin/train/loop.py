"""One stage of training: from its first step, or the one where a checkpoint left it, to its last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from tqdm import tqdm

from opendas_plugin.train.averaging import EpochAverage
from opendas_plugin.train.config import StageConfig, TrainConfig
from opendas_plugin.train.distributed import World
from opendas_plugin.train.entropy import EntropyObjective
from opendas_plugin.train.inputs import Inputs
from opendas_plugin.train.loggers import StepLog
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.optimisers import load_optimiser_state, make_optimiser, optimiser_state, set_rate
from opendas_plugin.train.sampling import Purpose, epoch_batches, seed_of, steps_per_epoch
from opendas_plugin.train.schedules import learning_rate, rate_by_step, triplet_weight

FLUSH_EVERY = 20
"""Steps whose numbers are fetched from the device, checked and written together."""


def run_steps(
    name: str,
    number: int,
    objective: Objective | EntropyObjective,
    inputs: Inputs,
    labels: Tensor,
    config: TrainConfig,
    log: StepLog,
    save: Callable[[int, Mapping[str, Tensor]], None],
    world: World,
    *,
    frozen: Tensor | None = None,
    done: int = 0,
    remembered: Mapping[str, Tensor] | None = None,
) -> None:
    """Learns those prompts of the objective that require a gradient.

    Args:
        name: of the stage; the field of ``config`` with its settings.
        number: of the stage, which its random numbers depend on.
        objective: the loss as a function of the prompts.
        inputs: the images of the training segments.
        labels: (M,) int64 classes of the training segments, on the CPU.
        config: everything else.
        log: takes a line a step.
        save: called with the steps done and the optimiser's state, every ``checkpoint_every`` steps.
        world: the processes that share each batch.
        frozen: (M, D) features of the training segments without prompts, on the device, where they are known.
        done: steps that were done before.
        remembered: the optimiser's state after them.

    Raises:
        TrainingError: a loss was not a finite number.
    """
    settings: StageConfig = getattr(config, name)
    parameters = [p for p in objective.parameters() if p.requires_grad]
    optimiser = make_optimiser(parameters, config.optimiser)
    average = EpochAverage(parameters, settings.epochs, config.regulation)
    load_optimiser_state(optimiser, average.load(remembered or {}))
    model = world.wrap(objective)
    steps = steps_per_epoch(len(labels), config.batch_size)
    bar = tqdm(
        total=steps * settings.epochs,
        initial=done,
        desc=f"train {name}",
        unit="step",
        disable=None if world.writes else True,
    )

    for epoch in range(done // steps, settings.epochs):
        for batch in _batches(inputs, labels, frozen, config, number, epoch, done - epoch * steps, world):
            _seed(seed_of(Purpose.STEP, config.seed, number, epoch, done), parameters[0].device)
            rate = _rate(done, steps, settings, config)
            set_rate(optimiser, rate)
            weight = _weight(done, steps, settings, config)
            loss, numbers = model(batch, weight)
            optimiser.zero_grad()
            (world.size * loss).backward()  # the processes' gradients are averaged, their losses are parts of a sum
            if config.optimiser.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(parameters, config.optimiser.clip_norm)
            optimiser.step()
            done += 1
            if done % steps == 0:
                average.add(epoch)
            bar.update()

            line = {"stage": name, "epoch": epoch + 1, "step": done, "lr": rate}
            log.add(line | ({"triplet_weight": weight} if objective.candidates else {}), objective.columns, numbers)
            if done % FLUSH_EVERY == 0 or done % config.checkpoint_every == 0:
                bar.set_postfix(_shown(log.flush()))
            if done % config.checkpoint_every == 0:
                save(done, optimiser_state(optimiser) | average.state())

    average.finish()
    bar.set_postfix(_shown(log.flush()))
    bar.close()


def _seed(seed: int, device: torch.device) -> None:
    """Seeds what a step draws from; ``torch.manual_seed`` keeps the stack of every call for GPUs that are not there."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _batches(
    inputs: Inputs,
    labels: Tensor,
    frozen: Tensor | None,
    config: TrainConfig,
    number: int,
    epoch: int,
    first: int,
    world: World,
) -> Iterator[Batch]:
    """The share of this process of an epoch's batches, from the batch ``first`` on."""
    order = seed_of(Purpose.ORDER, config.seed, number, epoch)
    batches = epoch_batches(labels.tolist(), config.batch_size, config.sampler, order)[first:]
    shares = [world.share(len(batch)) for batch in batches]
    own = [batch[share] for batch, share in zip(batches, shares, strict=True)]
    places = [
        (first + count) * config.batch_size + row
        for count, (batch, share) in enumerate(zip(batches, shares, strict=True))
        for row in range(len(batch))[share]
    ]

    def view_seed(place: int) -> int:
        return seed_of(Purpose.VIEW, config.seed, number, epoch, places[place])

    for images, indices, batch, share in zip(inputs(own, view_seed), own, batches, shares, strict=True):
        rows = torch.tensor(indices)
        known = None if frozen is None else frozen[rows.to(frozen.device)]
        yield Batch(images, labels[rows].to(images.device), share, len(batch), known)


def _rate(step: int, steps: int, settings: StageConfig, config: TrainConfig) -> float:
    optimiser = config.optimiser
    if optimiser.schedule == "cosine_steps":
        stage = steps * settings.epochs
        rate = rate_by_step(step, steps=stage, base=optimiser.lr, warmup_steps=optimiser.warmup_steps)
        return settings.lr_scale * rate
    return settings.lr_scale * learning_rate(
        step // steps,
        epochs=settings.epochs,
        base=optimiser.lr,
        warmup=optimiser.warmup_lr,
        warmup_epochs=optimiser.warmup_epochs,
        schedule=optimiser.schedule,
    )


def _weight(step: int, steps: int, settings: StageConfig, config: TrainConfig) -> float:
    triplet = config.triplet
    return triplet_weight(
        step,
        steps_per_epoch=steps,
        epochs=settings.epochs,
        start=triplet.weight_start,
        end=triplet.weight_end,
        schedule=triplet.weight_schedule,
    )


def _shown(line: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{line[name]:.3f}" for name in ("loss", "accuracy") if name in line}
