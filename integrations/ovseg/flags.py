"""The flags that say how an adapter is used, which the launcher and the comparison share."""

from __future__ import annotations

import argparse


def add_adapter_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say how an adapter is used; each is None where it is not given."""
    texts = {
        "base": "the CLIP that the adapter sits on: the one inside MODEL.WEIGHTS (default), or the one that "
        "MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME names, restored after loading",
        "text": "who reads what was learnt of texts: the MaskFormer and the CLIP branch (default), or CLIP's alone",
        "chunk": "regions in one batch of the visual tower; 0: all (default: 10 on a CPU, all on a GPU)",
        "cache": "where text features are kept for later runs; 'off': nowhere (default: the user's cache folder)",
    }
    add = parser.add_argument
    add("--opendas-base", choices=("weights", "clip"), help=texts["base"])
    add("--opendas-text", choices=("both", "clip"), help=texts["text"])
    add("--opendas-chunk", type=_chunk, metavar="N", help=texts["chunk"])
    add("--opendas-cache", metavar="DIR", help=texts["cache"])


def _chunk(value: str) -> int:
    if not value.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number, 0 or more, got {value!r}")
    return int(value)
