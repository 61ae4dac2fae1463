"""Image features that milestones of one training share: those of stages that learn in the text tower alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from opendas_plugin.data.segments import Segment
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.hashes import contents


@dataclass
class Remembered:
    """The features of the segments that were encoded last, these segments, and what made them."""

    segments: list[Segment] = field(default_factory=list)
    made_by: object = None
    batches: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class RememberingLabeller(Labeller):
    """A labeller that encodes segments only where the last ones were others, or the image side has changed since.

    ``memory`` is what labellers of one CLIP share.
    """

    memory: Remembered

    def segment_features(self, segments: Sequence[Segment]) -> Iterator[tuple[Tensor, Tensor]]:
        """See :meth:`Labeller.segment_features`."""
        made_by = (self.crops, *self._image_side())
        if self.memory.made_by != made_by or self.memory.segments != list(segments):
            batches = []
            for batch in super().segment_features(segments):
                batches.append(batch)
                yield batch
            self.memory.segments, self.memory.made_by, self.memory.batches = list(segments), made_by, batches
            return
        yield from self.memory.batches

    def _image_side(self) -> tuple[object, ...]:
        """What training changes of it; tokens as they are read, since some are made from the text side's."""
        clip, at_work = self.clip, self.clip.at_work()
        if not at_work.visual:
            return (None,)
        tokens = [] if clip.visual_prompts.tokens is None else [clip.visual_prompts.tokens]
        return at_work.interpolation, at_work.weight_mix, contents([*tokens, *clip.visual_weights.parameters()])
