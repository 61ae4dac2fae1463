"""The tiny CLIPs that are known by name: what each is, by the hash of its tensors, how it was made, where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.errors import MissingFileError
from opendas_plugin.files import cache_home

OFFICE_TINY = "office-tiny"
OFFICE_TINY_V1 = "office-tiny-v1"
FOLDER = Path(__file__).parent / "tiny"
WEIGHTS_FILE = "weights.safetensors"
SIGLIPS_FILE = "model.safetensors"


@dataclass(frozen=True)
class TinyClip:
    """A tiny CLIP that is known by name."""

    sha256: str
    """:func:`~opendas_plugin.model.checkpoint.backbone_sha256` of it."""
    settings: Mapping[str, Any] | None
    """Those of the class that its maker's are of which are not the defaults; None: it is the tower of the pre-training
    itself, whose images all others keep or start from."""
    files: tuple[str, ...] = ()
    """In the package, the later over the earlier; none: it is made by a command."""
    maker: Literal["relearn", "siglip_train"] = "relearn"
    """What of the office makes it: a text tower for finished images, or a ``SiglipModel``, which is a folder."""

    @property
    def made_by(self) -> str:
        """The command that it was made by."""
        if self.settings is None:
            return "python -m opendas_plugin.office.pretrain"
        flags = "".join(f" --{name} {value}" for name, value in self.settings.items())
        return f"python -m opendas_plugin.office.{self.maker} --threads 1{flags}"

    @property
    def is_folder(self) -> bool:
        """Whether it is stored as transformers stores a model, which any command takes as a backbone."""
        return self.maker == "siglip_train"


TINY_CLIPS: Mapping[str, TinyClip] = {
    OFFICE_TINY: TinyClip("6e661c8998a77a36d3b3860964889c7817854c3c9b1ea969efc919ee9057ab62", {}, (WEIGHTS_FILE,)),
    OFFICE_TINY_V1: TinyClip(  # the same images but for their last matrix, which lies with the texts
        "dc9a6cb224d351f78bb70fca97fb252d9a0441d61c5400900a46e34663233b44",
        None,
        (WEIGHTS_FILE, "v1_text.safetensors"),
    ),
    "office-tiny-b": TinyClip("a9d6bff29da07a41f3e7aead47d02300798e88a2d7f5ddc3daac71cd147726d1", {"seed": 1}),
    "office-tiny-c": TinyClip(
        "26fa27e3e856ee2c67ac370032c6737a4d93e66bbcc8ae0ca38ff657dd7b572d", {"scheme": "last", "seed": 2}
    ),
    "office-siglip": TinyClip(
        "53c1c988197e968ac3f588a6fadada85ca9b2c16a26d80397f1298979bc9b536", {}, maker="siglip_train"
    ),
}


def name_of(sha256: str) -> str | None:
    """The name of the tiny CLIP with this hash; None: of none."""
    return next((name for name, clip in TINY_CLIPS.items() if clip.sha256 == sha256), None)


def home_of(name: str) -> Path:
    """The folder of a tiny CLIP: the package's, or where the command puts one that does not ship."""
    return FOLDER if TINY_CLIPS[name].files else cache_home() / "towers" / name


def making(name: str) -> str:
    """The command that makes a tiny CLIP which does not ship."""
    return f"opendas-prepare office-tower --name {name}"


def files_of(name: str) -> tuple[Path, ...]:
    """The weight files of a tiny CLIP, the later over the earlier; ``config.json`` lies beside them.

    Raises:
        MissingFileError: it does not ship, and has not been made yet.
    """
    folder, known = home_of(name), TINY_CLIPS[name]
    files = known.files or (SIGLIPS_FILE if known.is_folder else WEIGHTS_FILE,)
    if not known.files and not (folder / files[0]).is_file():
        raise MissingFileError(
            f"{name} does not ship with the package and has not been made here yet ({folder} is not there); make it "
            f"by: {making(name)}"
        )
    return tuple(folder / file for file in files)
