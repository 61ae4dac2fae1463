"""``opendas-segment``: photos to named masks, without labels."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command, say_once
from opendas_plugin.runs.segmentation import Segmentation, Segmented

PROGRAM = "opendas-segment"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(segment, argv)


def segment(argv: Sequence[str]) -> None:
    """Names the masks of the photos and prints how many of each name there are."""
    run = parse(Segmentation, argv, prog=PROGRAM)
    say_once()
    found = run(command_line(PROGRAM, argv))
    if found is not None:
        print(describe(found))


def describe(found: Segmented) -> str:
    """The crops, and the names that were given, the most frequent first, with masks, share of pixels, and photos."""
    from opendas_plugin.eval.report import align

    every = max(1, sum(found.pixels))
    rows = zip([*found.names, "(no name)"], found.masks, found.pixels, found.pictures, strict=True)
    used = sorted((row for row in rows if row[1] or row[2]), key=lambda row: -row[2])
    cells = [[name, str(masks), f"{100 * pixels / every:.1f}", str(own)] for name, masks, pixels, own in used]
    lacking = f", {found.without_masks} of them without a mask" if found.without_masks else ""
    return "\n".join(
        [
            f"crops {found.crops}",
            align([["name", "masks", "% of pixels", "photos"], *cells]),
            f"photos: {found.photos}{lacking}; see {found.output / 'overlays'}",
        ]
    )
