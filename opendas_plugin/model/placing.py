"""Where learnt tokens stand in a text, and how a tokenizer frames texts, which says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from opendas_plugin.errors import DataError
from opendas_plugin.model.tower import LayeredText
from opendas_plugin.wording import counted


@dataclass(frozen=True)
class Frame:
    """The ids that a tokenizer puts around every text."""

    start: int | None
    """Before it; None: nothing."""
    end: int
    """Behind it."""
    pad: int
    """Up to the context's length; some have the end's id for it."""


def frame_of(tokenize: Callable[[str], torch.Tensor], text: str = "a photo") -> Frame:
    """Returns how a tokenizer frames texts, as it is seen in an empty one and in ``text``: ids (1, L) of each."""
    empty, other = (tokenize(one)[0].tolist() for one in ("", text))
    has_start = empty[0] == other[0]
    return Frame(empty[0] if has_start else None, empty[int(has_start)], empty[-1])


def words_of(tokenize: Callable[[str], torch.Tensor], text: str) -> tuple[int, ...]:
    """Returns the ids of a text without what a tokenizer puts around it."""
    frame, ids = frame_of(tokenize), tokenize(text)[0].tolist()
    ids = ids[0 if frame.start is None else 1 :]
    return tuple(ids[: ids.index(frame.end)] if frame.end in ids else ids)


@dataclass(frozen=True)
class Places:
    """The places of n learnt tokens: behind the start token, or first of all where texts have none.

    Where the ids there are the words that the first layer started from, the learnt tokens take their place; in any
    other text they are inserted.
    """

    count: int
    """n."""
    frame: Frame
    words: tuple[int, ...] = ()
    """The ids that the learnt tokens take the place of."""

    @property
    def first(self) -> int:
        """Position of the first one."""
        return 0 if self.frame.start is None else 1

    def make_room(
        self, ids: torch.Tensor, tower: LayeredText, decode: Callable[[torch.Tensor], str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Makes room for the learnt tokens in every text.

        Where the tower reads padding, the length stays and trailing pads make way.

        Args:
            ids: (N, L) int64 on the CPU.
            tower: what reads them.
            decode: turns ids into words, for messages.

        Returns:
            ids (N, L') with any ids where the learnt tokens stand, and the positions that the features are read at.

        Raises:
            DataError: a text does not begin with the start token, or no longer fits.
        """
        if torch.compiler.is_compiling():
            return self._make_room_compiled(ids, tower)
        first, ends = self.first, tower.ends(ids)
        self._check_start(ids)
        skipped = self._begins(ids, ends) * len(self.words)
        grows = self.count - skipped
        used = self._used(ids, tower, ends)
        if (too_long := used + grows > tower.room).any():
            row = int(too_long.nonzero()[0])
            raise DataError(
                f"{decode(ids[row, first : used[row] - 1])!r} has "
                f"{counted(int(used[row] + grows[row]), 'token')} with {counted(self.count, 'learnt token')} "
                "inserted, but the context holds "
                f"{tower.room}; shorten it"
            )
        ends = (ends + grows).clamp(max=tower.room - 1)
        places = torch.arange(tower.room if tower.reads_padding else int(ends.max()) + 1)
        placed = self._shifted(ids, skipped, places)
        placed[:, first : first + self.count] = self.frame.pad
        return placed, ends

    def _make_room_compiled(self, ids: torch.Tensor, tower: LayeredText) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`make_room`, by sizes that no value decides: where padding is not read, texts get n ids longer.

        What does not fit is a RuntimeError of torch; an ONNX graph cannot say it.
        """
        ends = tower.ends(ids)
        skipped = self._begins(ids, ends) * len(self.words)
        grows = self.count - skipped
        if self.frame.start is not None:
            torch._assert_async((ids[:, 0] == self.frame.start).all(), "a text does not begin with the start token")
        fits = (self._used(ids, tower, ends) + grows <= tower.room).all()
        torch._assert_async(fits, f"a text does not fit the context of {tower.room} tokens; shorten it")
        length = tower.room if tower.reads_padding else ids.shape[1] + self.count
        placed = self._shifted(ids, skipped, torch.arange(length, device=ids.device))
        return placed, (ends + grows).clamp(max=tower.room - 1)

    def _shifted(self, ids: torch.Tensor, skipped: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Ids (N, L') with those behind the learnt tokens in place, and any where these stand."""
        source = torch.where(places >= self.first + self.count, places - self.count + skipped[:, None], 0)
        return ids.gather(1, source.clamp(max=ids.shape[1] - 1))

    def _begins(self, ids: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Which texts (N,) begin with the words."""
        behind = self.first + len(self.words)
        if behind > ids.shape[1]:
            return torch.zeros_like(ends, dtype=torch.bool)
        words = torch.tensor(self.words, dtype=ids.dtype, device=ids.device)
        return (ids[:, self.first : behind] == words).all(dim=1) & (ends >= behind)

    def _check_start(self, ids: torch.Tensor) -> None:
        start = self.frame.start
        if start is not None and (strange := ids[:, 0] != start).any():
            row = int(strange.nonzero()[0])
            raise DataError(
                f"text {row} begins with token {int(ids[row, 0])}, expected the start token {start}; "
                "tokenise texts with the model's tokenizer"
            )

    def _used(self, ids: torch.Tensor, tower: LayeredText, ends: torch.Tensor) -> torch.Tensor:
        """How many ids (N,) of each text cannot make way."""
        if not tower.reads_padding:
            return ends + 1
        if ids.shape[1] != tower.room:
            raise DataError(
                f"expected token ids of the whole context, (N, {tower.room}), got {tuple(ids.shape)}: learnt "
                "tokens take the place of padding"
            )
        places = torch.arange(1, tower.room + 1, device=ids.device)
        pads = tower.room - torch.where(ids == self.frame.pad, 0, places).amax(dim=1)  # behind the last other id
        spare = (pads - int(self.frame.end == self.frame.pad)).clamp(min=0)
        return tower.room - spare
