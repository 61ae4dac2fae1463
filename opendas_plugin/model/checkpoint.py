"""Backbones and adapters on disk: how CLIP weights are found, named by a hash, and what an adapter folder holds."""

from __future__ import annotations

import numpy as np
import torch


def rebuild_token_table(
    ids: torch.Tensor, values: torch.Tensor, vocab_size: int, width: int, seed: int = 0
) -> torch.Tensor:
    """Returns a full token table from the few rows that were stored; the other rows come from ``seed``.

    The rows that are not in ``ids`` are uniform with standard deviation 0.02, made from integers by exact
    arithmetic and rounded to half precision, so every machine rebuilds the same bits. A table that starts a
    training (no ``ids`` yet) and keeps its unused rows is therefore stored whole by the rows it used.

    Args:
        ids: (R,) int, the stored rows' token ids.
        values: (R, width) float, the stored rows.
        vocab_size: rows of the table.
        width: columns of the table.
        seed: seed of the PCG64 bit generator.

    Returns:
        (vocab_size, width) float32.
    """
    raw = np.random.PCG64(seed).random_raw(vocab_size * width)
    unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    rows = (unit * (0.02 * np.sqrt(3.0))).astype(np.float16)
    table = torch.from_numpy(rows.reshape(vocab_size, width)).float()
    table[ids.long()] = values.float()
    return table
