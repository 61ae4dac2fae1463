"""Which adapter is switched on, and how: what is looked at before a program starts, without torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model import adapter as folders
from opendas_plugin.switch.kept import KeptFeatures
from opendas_plugin.switch.saying import say

Check = Literal["strict", "warn"]
WARN = '--backbone-check warn (in Python check="warn")'

Kind = TypeVar("Kind", bound="Choice")


@dataclass
class Choice:
    """An adapter that is to be switched on.

    Attributes:
        folder: of the adapter.
        check: whether a program that never asked for it is an error, or is said.
        identity: the calls are answered, with nothing of the adapter at work.
        features: where known programs keep features below this adapter; None: in the user's cache, by its hash.
    """

    folder: Path
    check: Check = "strict"
    identity: bool = False
    features: Path | None = None

    @classmethod
    def on(
        cls: type[Kind],
        adapter: str | Path,
        check: Check = "strict",
        *,
        identity: bool = False,
        features: str | Path | None = None,
    ) -> Kind:
        """That of an adapter: a folder or hub id.

        Raises:
            MissingFileError, AdapterError: there is no such adapter, or it is damaged.
            AdapterError: it has no text features of its own.
            ConfigError: a check that there is not.
        """
        if check not in get_args(Check):
            raise ConfigError(f"expected check to be {' or '.join(get_args(Check))}, got {check!r}")
        folder = folders.find_folder(str(adapter).removeprefix(folders.PREFIX))
        config = folders.read_config(folder)
        if config.prompts.form == "conditional":
            raise AdapterError(
                f"{folder}: the text features of the {config.method} adapter depend on the image, so a program that "
                "encodes its names once cannot use it; choose an adapter of another method"
            )
        return cls(Path(folder), check, identity, None if features is None else Path(features))

    @property
    def config(self) -> Any:
        """What the adapter's folder says."""
        return folders.read_config(self.folder)

    @functools.cached_property
    def kept(self) -> KeptFeatures:
        """Where known programs keep features below this adapter.

        Raises:
            AdapterError: features of another adapter lie there.
        """
        return KeptFeatures.of(self.folder, self._models, identity=self.identity, root=self.features)

    def place(self, host: str, path: str | os.PathLike[str]) -> Path:
        """Where a program's features lie, of which it says ``path``; see :meth:`KeptFeatures.place`."""
        return self.kept.place(host, path)

    def _models(self) -> str:
        """All CLIPs that this process has been given, of any of which a program's features may be."""
        return "none"

    def complain(self, asked: Sequence[str]) -> None:
        """Says, or raises where the check is strict, that the adapter had no effect."""
        config = self.config
        said = ", ".join(asked) or "no CLIP by a call that is known"
        message = (
            f"{self.folder} had no effect: it was learnt on {config.backbone} with weights "
            f"{config.backbone_sha256[:12]}, and the program asked for {said}; give an adapter that was learnt on what "
            f"it asks for, or {WARN}"
        )
        if self.check == "strict":
            raise AdapterError(message)
        say("%s", message)
