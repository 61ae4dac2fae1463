"""The calls that the fuzzer makes: every reader and every evaluation command."""

from __future__ import annotations

from tests.conftest import RANDOM
from tests.data.layouts import make_ade20k, make_dtd, make_kitti360
from tests.fuzz import oracles, oracles3d
from tests.fuzz.inputs import (
    MODEL,
    Target,
    instances_of,
    make_adapted,
    make_adapter,
    make_answers,
    make_classification,
    make_coloured,
    make_features,
    make_folders,
    make_instance3d,
    make_instances,
    make_masks,
    make_panoptic,
    make_scannetpp,
    make_semantic_json,
    make_semantic_maps,
    make_training,
    make_voc,
    negatives_of,
    segments_of,
    summary_of,
)
from tests.readers import ten_photos

PREPARE = ("--output", "out", "--min-area", "10", "--workers", "1")
SCORES = ("miou", "macc", "fwiou", "pacc", "n_images", "n_pixels", "n_unpredicted")
INSTANCES = ("ap", "ap50", "ap25", "recall", "n_scenes", "n_instances", "n_predictions")
INSTANCE3D = ("instance3d", "--predictions", "in/predictions", "--ground-truth", "in/gt",
              "--classes", "in/classes.txt", "--output", "out", "--vocabulary", "in/vocabulary.json",
              "--instance-classes", "in/scored.txt")  # fmt: skip

TARGETS = {
    "folders": Target(
        make_folders, "prepare",
        ("folders", "--images", "in/images", "--labels", "in/labels", "--classes", "in/classes.txt", "--novel",
         "in/novel.txt", *PREPARE),
        segments_of, oracles.folders,
    ),
    "folders in colours": Target(
        make_coloured, "prepare",
        ("folders", "--images", "in/images", "--labels", "in/labels", "--classes", "in/labelmap.txt", *PREPARE),
        segments_of, oracles.coloured, 0.6,
    ),
    "coco instances": Target(
        make_instances, "prepare",
        ("coco", "--instances-json", "in/instances.json", "--images", "in/images", "--val-fraction", "0.4", *PREPARE),
        segments_of, oracles.coco, 1.6,
    ),
    "coco panoptic": Target(
        make_panoptic, "prepare",
        ("coco", "--panoptic-json", "in/panoptic.json", "--panoptic-dir", "in/panoptic", "--images", "in/images",
         "--val-fraction", "0.4", *PREPARE),
        segments_of, oracles.panoptic,
    ),
    "ade20k": Target(
        make_ade20k, "prepare", ("ade20k", "--root", "in", *PREPARE), segments_of, oracles.ade20k, 0.5
    ),
    "dtd": Target(make_dtd, "prepare", ("dtd", "--root", "in", *PREPARE), segments_of, None, 0.5),
    "kitti360": Target(make_kitti360, "prepare", ("kitti360", "--root", "in", *PREPARE), segments_of, None, 0.6),
    "scannetpp": Target(
        make_scannetpp, "prepare",
        ("scannetpp", "--root", "in", "--every", "1", "--min-side", "8", "--train-scenes", "in/train.txt",
         "--val-scenes", "in/val.txt", *PREPARE),
        segments_of, None, 0.5, keeps=("out.cache",),
    ),
    "voc": Target(make_voc, "prepare", ("voc", "--root", "in", *PREPARE), segments_of, oracles.voc, 0.6),
    "voc of CVAT": Target(
        ten_photos.cvat_masks, "prepare",
        ("voc", "--root", "in", "--classes", "in/labelmap.txt", "--lists", "all", *PREPARE), segments_of, None, 0.4,
    ),
    "cityscapes": Target(
        ten_photos.cityscapes("labelIds"), "prepare", ("cityscapes", "--root", "in", *PREPARE), segments_of, None, 0.4,
    ),
    "labelme": Target(
        ten_photos.labelme, "prepare", ("labelme", "--root", "in", *PREPARE), segments_of, None, 0.6,
    ),
    "labelme masks": Target(
        ten_photos.labelme_masks, "prepare", ("labelme", "--root", "in", *PREPARE), segments_of, None, 0.4,
    ),
    "yolo": Target(ten_photos.yolo, "prepare", ("yolo", "--data", "in", *PREPARE), segments_of, oracles.yolo, 0.6),
    "cvat": Target(
        ten_photos.cvat_xml(ten_photos.cvat_polygons), "prepare",
        ("cvat", "--annotations", "in/annotations.xml", "--images", "in/images", *PREPARE), segments_of, None, 0.6,
    ),
    "cvat masks": Target(
        ten_photos.cvat_xml(ten_photos.cvat_runs), "prepare",
        ("cvat", "--annotations", "in/annotations.xml", "--images", "in/images", *PREPARE), segments_of, None, 0.4,
    ),
    "supervisely": Target(
        ten_photos.supervisely("polygon"), "prepare", ("supervisely", "--root", "in", *PREPARE), segments_of, None, 0.6,
    ),
    "supervisely bitmaps": Target(
        ten_photos.supervisely("bitmap"), "prepare", ("supervisely", "--root", "in", *PREPARE), segments_of, None, 0.4,
    ),
    "auto": Target(
        ten_photos.labelme, "prepare", ("auto", "in"), lambda folder: None, None, 0.2, whole="in/none",
    ),
    "classification": Target(
        make_classification, "evaluate",
        ("classification", "--data", "in", "--output", "out", "--base-from", "in/base.json", *MODEL),
        summary_of("acc", "w_f1", "b_f1", "n_f1", "n_segments"), oracles.classification,
    ),
    "adapter": Target(
        make_adapter, "export",
        ("--to", "classifier", "--adapter", "in/adapter", "--names", "door", "window", "--output", "out.safetensors",
         "--device", "cpu"),
        lambda folder: (folder / "out.safetensors").read_bytes(), None, 0.8, output="out.safetensors",
    ),
    "classification with an adapter": Target(
        make_adapted, "evaluate",
        ("classification", "--data", "in", "--output", "out", "--adapter", "in/adapter", "--device", "cpu",
         "--workers", "0"),
        summary_of("acc", "w_f1", "b_f1", "n_f1", "n_segments"), oracles.classification,
    ),
    "semantic json": Target(
        make_semantic_json, "evaluate",
        ("semantic", "--predictions", "in/sem_seg_predictions.json", "--ground-truth", "in/labels", "--vocabulary",
         "in/vocabulary.json", "--protocol", "detectron2", "--output", "out"),
        summary_of(*SCORES), oracles.semantic_json, 1.4,
    ),
    "semantic maps": Target(
        make_semantic_maps, "evaluate",
        ("semantic", "--predictions", "in/predictions", "--ground-truth", "in/labels", "--num-classes", "3",
         "--protocol", "ovseg", "--output", "out"),
        summary_of(*SCORES), oracles.semantic_maps,
    ),
    "semantic masks": Target(
        make_masks, "evaluate",
        ("semantic", "--masks", "in/proposals.json", "--images", "in/images", "--ground-truth", "in/labels",
         "--vocabulary", "in/vocabulary.json", "--protocol", "detectron2", "--output", "out", *MODEL),
        summary_of(*SCORES), oracles.semantic_masks,
    ),
    "segment": Target(
        make_masks, "segment",
        ("--masks", "in/proposals.json", "--images", "in/images", "--names", "in/vocabulary.json", "--output", "out",
         *MODEL),
        instances_of, None, 0.3, whole="out/instances.json",
    ),
    "instance3d scannet": Target(
        make_instance3d("scannet"), "evaluate", (*INSTANCE3D, "--protocol", "scannet"),
        summary_of(*INSTANCES), oracles3d.instances("scannet"),
    ),
    "instance3d scannetpp": Target(
        make_instance3d("scannetpp"), "evaluate",
        (*INSTANCE3D, "--protocol", "scannetpp", "--mesh-masks", "in/removed"),
        summary_of(*INSTANCES), oracles3d.instances("scannetpp"),
    ),
    "instance3d features": Target(
        make_features, "evaluate",
        (*INSTANCE3D, "--protocol", "scannet", "--features", "in/features", "--backbone", "test-tiny", *RANDOM,
         "--device", "cpu"),
        summary_of(*INSTANCES), None,
    ),
    "training": Target(
        make_training, "train",
        ("--data", "in", "--output-dir", "out", "--recipe", "in/recipe.yaml", "--negatives", "in/negatives.json",
         "--device", "cpu"),
        lambda folder: None, None, 0.5, whole="out/adapter",
    ),
    "answers": Target(
        make_answers, "negatives",
        ("--vocabulary", "in/vocabulary.json", "--output", "in/n.json", "--source", "openai", "--base-url",
         "http://127.0.0.1:9/v1", "--retries", "0", "--timeout", "1"),
        negatives_of, None, 0.6, output="in/n.json", keeps=("in/n.answers.jsonl",),
    ),
}  # fmt: skip
