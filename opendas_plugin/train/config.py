"""What a training run is made of, as frozen dataclasses; the recipe file and the command line are views of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.config import Interpolation, PromptConfig, WeightConfig
from opendas_plugin.negatives.database import Mining
from opendas_plugin.train.schedules import RateSchedule, WeightSchedule

Distance = Literal["euclidean", "squared", "cosine"]
ClassLoss = Literal["softmax", "sigmoid"]


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser and its learning rate; the defaults are the paper's, or where it is silent Dassl's."""

    name: Literal["sgd", "adamw"] = "sgd"
    """sgd without Nesterov, or adamw with torch's betas."""
    lr: float = 0.0025
    """Learning rate after the warm-up."""
    schedule: RateSchedule = "cosine"
    """What the learning rate does after the warm-up, epoch by epoch; cosine_steps: step by step, to zero."""
    warmup_lr: float = 1e-5
    """Learning rate of the warm-up."""
    warmup_epochs: int = 1
    """Epochs of the warm-up, in every stage; cosine_steps has none."""
    momentum: float = 0.9
    """Momentum of sgd."""
    weight_decay: float = 5e-4
    """Weight decay."""
    warmup_steps: int = 0
    """Steps over which cosine_steps rises linearly to the learning rate, at most half of a stage's."""
    clip_norm: float | None = None
    """Largest norm of the gradient of all that is learnt; None: any."""

    def __post_init__(self) -> None:
        _check(self.lr > 0, "optimiser.lr", "above 0", self.lr)
        _check(self.warmup_lr >= 0, "optimiser.warmup_lr", "0 or more", self.warmup_lr)
        _check(self.warmup_epochs >= 0, "optimiser.warmup_epochs", "0 or more", self.warmup_epochs)
        _check(self.warmup_steps >= 0, "optimiser.warmup_steps", "0 or more", self.warmup_steps)
        _check(self.clip_norm is None or self.clip_norm > 0, "optimiser.clip_norm", "above 0", self.clip_norm)
        _check(0 <= self.momentum < 1, "optimiser.momentum", "from 0 to below 1", self.momentum)
        _check(self.weight_decay >= 0, "optimiser.weight_decay", "0 or more", self.weight_decay)


@dataclass(frozen=True)
class StageConfig:
    """What a stage has to itself."""

    epochs: int = 5
    """Passes over the training segments, those of the warm-up included."""
    lr_scale: float = 1.0
    """Factor on every learning rate of this stage."""
    consistency: float = 0.0
    """Weight of one minus the cosine between a feature and the one without prompts: of images in the visual stage, of
    the training names in the text stage."""

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, "epochs of a stage", "1 or more", self.epochs)
        _check(self.lr_scale > 0, "lr_scale of a stage", "above 0", self.lr_scale)
        _check(self.consistency >= 0, "consistency of a stage", "0 or more", self.consistency)


@dataclass(frozen=True)
class TripletConfig:
    """The triplet loss of the text stage: each image nearer to its own name than to a related one."""

    enabled: bool = True
    """Add the loss; otherwise cross-entropy alone, and no negatives are needed."""
    mining: Mining = "hardest"
    """The related name to learn against: the class's own nearest, nearest beyond the class name (semi_hard), nearest of
    all classes' names (pool), nearest of the five closest training names (training), or a random own one."""
    negatives: int = 1
    """How many related names an image learns against at each step."""
    distance: Distance = "euclidean"
    """Distance between features."""
    normalize: bool = True
    """Take distances between features of unit length."""
    margin: float = 1.5
    """By how much the own name should be nearer."""
    weight_start: float = 2.0
    """Weight of the loss at the first step."""
    weight_end: float = 5.0
    """Weight of the loss at the last step."""
    weight_schedule: WeightSchedule = "iteration"
    """What the weight grows with, linearly; constant stays at weight_start."""

    def __post_init__(self) -> None:
        _check(self.negatives >= 1, "triplet.negatives", "1 or more", self.negatives)
        _check(self.margin >= 0, "triplet.margin", "0 or more", self.margin)
        _check(self.weight_start >= 0, "triplet.weight_start", "0 or more", self.weight_start)
        _check(self.weight_end >= 0, "triplet.weight_end", "0 or more", self.weight_end)


@dataclass(frozen=True)
class RegulationConfig:
    """PromptSRC's pulls towards the frozen CLIP, and its average over epochs; the defaults are none."""

    text: float = 0.0
    """Weight of the mean absolute difference of text features from the mean over CLIP's ImageNet templates."""
    visual: float = 0.0
    """Weight of the mean absolute difference of image features from the frozen ones."""
    logits: float = 0.0
    """Weight of the divergence of the class probabilities from the frozen ones."""
    average_epoch: float | None = None
    """Mean of the Gaussian over a stage's epochs, from 1, that weighs what each has learnt; None: the last alone."""
    average_std: float = 1.0
    """Its standard deviation, in epochs."""

    def __post_init__(self) -> None:
        for name in ("text", "visual", "logits"):
            _check(getattr(self, name) >= 0, f"regulation.{name}", "0 or more", getattr(self, name))
        first = self.average_epoch
        _check(first is None or first >= 1, "regulation.average_epoch", "1 or more", first)
        _check(self.average_std > 0, "regulation.average_std", "above 0", self.average_std)

    @property
    def pulls(self) -> bool:
        """Whether any pull is on."""
        return bool(self.text or self.visual or self.logits)


@dataclass(frozen=True)
class HoldConfig:
    """DOR's hold on the text features of other names, where the text tower learns; the default is none."""

    weight: float = 0.0
    """Weight of one minus the cosine between their text features and the frozen ones."""
    names: str = "imagenet"
    """Which: imagenet (its 1,000 names), words (these and those of the scene datasets), or a file, a name a line;
    training names and novel ones are left out."""
    nearest: int | None = None
    """Of these only as many as are nearest to a training name by the frozen text tower; None: all."""
    batch: int = 64
    """Names drawn at each step."""
    novel: bool = False
    """Hold the domain's novel names, too; the result has then used evaluation names, and says so."""

    def __post_init__(self) -> None:
        _check(self.weight >= 0, "hold.weight", "0 or more", self.weight)
        _check(self.nearest is None or self.nearest >= 1, "hold.nearest", "1 or more", self.nearest)
        _check(self.batch >= 1, "hold.batch", "1 or more", self.batch)


@dataclass(frozen=True)
class SegmentsConfig:
    """Which of the training segments are learnt from, and how exact their masks are."""

    shots: int | None = None
    """Segments of each class, drawn by the seed; None: all."""
    mask_jitter: float = 0.0
    """How far each mask's sides are stretched and moved at random, as a share of their length."""
    min_overlap: float = 0.5
    """Smallest intersection over union of a proposed mask with the labelled one that it gets its name from."""

    def __post_init__(self) -> None:
        _check(self.shots is None or self.shots >= 1, "segments.shots", "1 or more", self.shots)
        _check(self.mask_jitter >= 0, "segments.mask_jitter", "0 or more", self.mask_jitter)
        _check(0 < self.min_overlap <= 1, "segments.min_overlap", "above 0, up to 1", self.min_overlap)


@dataclass(frozen=True)
class TrainConfig:
    """A training run; the defaults are the paper's, less its augmentation."""

    method: str = "opendas"
    """How the adapter is learnt: opendas, opendas_plus, zero_shot, cocoop, vpt, rpo, maple, wise_ft_text,
    wise_ft_image, promptsrc, mmlop, mlmp, lora, ln_bias, ln_bias_plus, opendas_plus_mlmp, dor, opendas_joint, or a
    method of another package."""
    backbone: str = "office-tiny"
    """open_clip's model name, an OpenAI-format file, a folder of transformers' CLIPModel or SiglipModel or of
    open_clip, or a tiny CLIP: office-tiny, office-tiny-v1, office-tiny-b, office-tiny-c or office-siglip."""
    pretrained: str | None = None
    """open_clip's tag, a weight file or folder, or random; None where the backbone brings its own."""
    tokenizer: str | None = None
    """Folder with the files of the backbone's Hugging Face tokenizer, where it has one (SigLIP, CLIPA) and that is not
    fetched; the adapter remembers it."""
    backbone_seed: int = 0
    """Seed of random backbone weights."""
    seed: int = 0
    """Seed of the prompts' start, the order of the segments, and the augmentation."""
    batch_size: int = 16
    """Segments a step, over all processes."""
    sampler: Literal["uniform", "class_balanced"] = "uniform"
    """Every segment once an epoch, or as many draws of a random class and a random segment of it."""
    loss: ClassLoss = "softmax"
    """Over the training names: softmax (cross-entropy, whatever the backbone), or SigLIP's sigmoid of each name apart,
    for backbones with a logit bias."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the towers; auto: bf16 autocast on CUDA and fp32 elsewhere. What is learnt stays fp32."""
    grad_checkpointing: bool = False
    """Keep only the state between two layers for backward, which computes each layer again: less memory, more time, the
    same result."""
    compile: bool = False
    """Run the image tower of the stages that learn in it by torch.compile, which is compiled before its first
    step; results differ by rounding. On a CPU it needs a C++ compiler."""
    checkpoint_every: int = 500
    """Steps between two checkpoints; the end of a stage makes one too."""
    workers: int = 2
    """Threads that decode and crop ahead."""
    prompts: PromptConfig = field(default_factory=PromptConfig)
    """The learnt tokens."""
    weights: WeightConfig = field(default_factory=WeightConfig)
    """The learnt weights, where the method learns weights."""
    interpolation: Interpolation = field(default_factory=Interpolation)
    """Share of the adapted feature in each tower's, after training; the rest is plain CLIP's."""
    segments: SegmentsConfig = field(default_factory=SegmentsConfig)
    """Which segments are learnt from."""
    crops: CropPolicy = field(default_factory=CropPolicy)
    """How a segment becomes an input."""
    auto_crops: bool = False
    """Take of the common crops those that plain CLIP reads best, by its accuracy on a sample of the training segments;
    a recipe says so by crops: auto."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is done to a crop in training."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """The optimiser and its learning rate."""
    visual: StageConfig = field(default_factory=StageConfig)
    """Stage 1: visual prompts, against the frozen text classifier."""
    text: StageConfig = field(default_factory=StageConfig)
    """Stage 2: text prompts, the visual ones at work and frozen."""
    joint: StageConfig = field(default_factory=StageConfig)
    """The stage of methods that learn in both towers at once."""
    unlabelled: StageConfig = field(default_factory=lambda: StageConfig(epochs=1))
    """The stage of methods that learn from segments without looking at their names."""
    triplet: TripletConfig = field(default_factory=TripletConfig)
    """The triplet loss of stage 2."""
    regulation: RegulationConfig = field(default_factory=RegulationConfig)
    """What PromptSRC adds to the cross-entropy."""
    hold: HoldConfig = field(default_factory=HoldConfig)
    """What keeps the text features of other names as they were."""

    def __post_init__(self) -> None:
        _check(self.seed >= 0, "seed", "0 or more", self.seed)
        _check(self.batch_size >= 1, "batch_size", "1 or more", self.batch_size)
        _check(self.checkpoint_every >= 1, "checkpoint_every", "1 or more", self.checkpoint_every)
        _check(self.workers >= 0, "workers", "0 or more", self.workers)


def _check(holds: bool, name: str, expected: str, value: Any) -> None:
    if not holds:
        raise ConfigError(f"expected {name} to be {expected}, got {value}")
