"""HOV-SG's features of pixels, masks and texts, by its own functions: hov_sg.py CHECKPOINT PICTURE OUTPUT [spawn]."""

import multiprocessing
import sys

import cv2
import numpy as np
import open_clip
from hovsg.models.sam_clip_feats_extractor import extract_feats_per_pixel, extract_feats_raw
from hovsg.utils.clip_utils import get_text_feats_62_templates, get_text_feats_multiple_templates
from hovsg.utils.constants import MATTERPORT_LABELS_40
from hovsg.utils.label_feats import get_label_feats
from segment_anything import SamAutomaticMaskGenerator

DIM = 1024


def work(checkpoint, picture, output, keep):
    clip_model, _, preprocess = open_clip.create_model_and_transforms("ViT-H-14", pretrained=checkpoint, device="cpu")
    clip_model.eval()  # as Graph.__init__ has it
    image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)[::4, ::4].copy()
    generator = SamAutomaticMaskGenerator(None)
    _, pixels, _, whole = extract_feats_per_pixel(image, generator, clip_model, preprocess, DIM, maskedd_weight=0.4418)
    _, masks, _, _ = extract_feats_raw(image, generator, clip_model, preprocess, DIM)
    if keep == "kept":
        texts, _ = get_label_feats(clip_model, DIM, "MATTERPORT_LABELS_40")
    else:
        texts = get_text_feats_multiple_templates(MATTERPORT_LABELS_40, clip_model, DIM)
    many = get_text_feats_62_templates(["door"], clip_model, DIM)
    np.savez(output, pixels=pixels, masks=masks.reshape(len(masks), -1), whole=whole, texts=texts, many=many)


if __name__ == "__main__":
    if sys.argv[5:] == ["spawn"]:
        process = multiprocessing.get_context("spawn").Process(target=work, args=sys.argv[1:5])
        process.start()
        process.join()
        sys.exit(process.exitcode)
    work(*sys.argv[1:5])
