"""Features of the real OVSeg's CLIP with an adapter, by ``patch`` alone, without the launcher.

``python host_features.py ROOT CLIP_FILE ADAPTER OUT``; OUT also gets the regions that OVSeg returns, with
the patch and without.
"""

import sys

import numpy as np
import torch

from integrations.ovseg import patch, use_checkout


@torch.no_grad()
def main(root, clip_file, adapter, out):
    use_checkout(root)
    import clip
    from open_vocab_seg.modeling.clip_adapter import MaskFormerClipAdapter, VILDPromptExtractor

    torch.manual_seed(0)
    classifier = MaskFormerClipAdapter(clip_file, VILDPromptExtractor(), mask_prompt_depth=3, mask_prompt_fwd=True)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, 3, 224, 224, generator=generator)
    image = torch.randint(0, 256, (3, 90, 120), generator=generator)
    masks = torch.zeros(3, 90, 120)
    masks[0, 10:40, 20:90] = masks[1, 50:, :60] = 1.0
    names = ["desk", "office chair", "wall"]
    ids = clip.tokenize(["a photo of a desk.", "There is a wall in the scene"])
    plain = classifier(image, list(names), masks)
    with patch(classifier, adapter):
        found = {"image": classifier.clip_model.visual(pixels, None), "text": classifier.clip_model.encode_text(ids)}
        logits, regions, valid = classifier(image, list(names), masks)
        one, _, _ = classifier(image, list(names), masks[:1])
        none, _, none_valid = classifier(image, list(names), masks[2:])
    assert none is None and not none_valid.any()
    found = {
        **found,
        "logits": logits,
        "one": one,
        "regions": regions,
        "stock_logits": plain[0],
        "host_regions": plain[1],
    }
    np.savez(out, valid=valid.numpy(), **{name: value.numpy() for name, value in found.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
