"""The mask regions that OVSeg's CLIP classifies, equal to OVSeg's own bit for bit and faster."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from integrations.ovseg.fitting import REGION_SIZE
from integrations.ovseg.model import ClipAdapter


def can_crop(clip_adapter: ClipAdapter, normalize: bool) -> bool:
    """Whether :func:`crop_regions` does what OVSeg's settings ask for; they are the ones of all its configs."""
    return (
        normalize
        and clip_adapter.region_resized
        and not clip_adapter.mask_matting
        and clip_adapter.mask_expand_ratio == 1.0
    )


def crop_regions(
    clip_adapter: ClipAdapter, image: torch.Tensor, mask: torch.Tensor, unnormalised: bool = True
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor] | None:
    """Cuts every mask's box out of the image and fills the background with CLIP's mean colour.

    OVSeg normalises each crop. Here the image is normalised once: a pixel of a crop is either the image's or the fill,
    so the values are the same.

    Args:
        clip_adapter: OVSeg's ``MaskFormerClipAdapter``.
        image: (3, H, W) RGB, 0 to 255.
        mask: (K, H, W) probabilities.
        unnormalised: also make the regions as they are before they are normalised, 0 to 255.

    Returns:
        regions (N, 3, 224, 224), the un-normalised ones likewise or None, their masks (N, 1, 224, 224) of 0 and 1, and
        which masks are valid, (K,) bool; None where no mask has a pixel.
    """
    dtype = mask.dtype
    binary = mask > clip_adapter.mask_thr
    bits = binary.view(torch.uint8)  # several times as fast as any() of bool
    rows, columns = bits.amax(dim=2).bool(), bits.amax(dim=1).bool()
    valid = rows.any(dim=1)
    if not bool(valid.any()):
        return None
    mean, std = clip_adapter.pixel_mean, clip_adapter.pixel_std
    colour = torch.as_tensor(clip_adapter.mask_fill, dtype=dtype, device=image.device).reshape(mean.shape)
    plain = image.type(dtype)
    pixels, fill = (plain - mean) / std, (colour - mean) / std
    regions, plain_regions, region_masks = [], [], []
    for k in valid.nonzero()[:, 0].tolist():
        y, x = rows[k].nonzero()[:, 0], columns[k].nonzero()[:, 0]
        tall, wide = slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)
        region = torch.where(binary[k, tall, wide], pixels[..., tall, wide], fill)
        regions.append(F.interpolate(region, size=(REGION_SIZE, REGION_SIZE), mode="bicubic"))
        if unnormalised:
            region = torch.where(binary[k, tall, wide], plain[None, :, tall, wide], colour)
            plain_regions.append(F.interpolate(region, size=(REGION_SIZE, REGION_SIZE), mode="bicubic"))
        region_masks.append(
            F.interpolate(bits[k, tall, wide][None, None], size=(REGION_SIZE, REGION_SIZE), mode="nearest")
        )
    unnorm = torch.cat(plain_regions) if unnormalised else None
    return torch.cat(regions), unnorm, torch.cat(region_masks).type(dtype), valid
