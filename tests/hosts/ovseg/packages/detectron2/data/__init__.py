"""`DatasetCatalog` and `MetadataCatalog` as detectron2's, and a small ADE20K where DETECTRON2_DATASETS points."""

import os
from types import SimpleNamespace


class _Catalog(dict):
    def register(self, name, func):
        assert name not in self
        self[name] = func

    def get(self, name):
        return self[name]()

    def list(self):
        return list(self)


class Metadata(SimpleNamespace):
    def set(self, **kwargs):
        self.__dict__.update(kwargs)
        return self


class _Metadata(dict):
    def get(self, name):
        return self.setdefault(name, Metadata(name=name))


DatasetCatalog, MetadataCatalog = _Catalog(), _Metadata()


def load_sem_seg(gt_root, image_root):
    stems = sorted(os.path.splitext(name)[0] for name in os.listdir(gt_root))
    pairs = [(os.path.join(image_root, stem + ".jpg"), os.path.join(gt_root, stem + ".png")) for stem in stems]
    return [{"file_name": image, "sem_seg_file_name": labels} for image, labels in pairs]


_root = os.path.join(os.getenv("DETECTRON2_DATASETS", "datasets"), "ADEChallengeData2016")
_images, _labels = (os.path.join(_root, kind, "validation") for kind in ("images", "annotations_detectron2"))
DatasetCatalog.register("ade20k_sem_seg_val", lambda: load_sem_seg(_labels, _images))
MetadataCatalog.get("ade20k_sem_seg_val").set(
    stuff_classes=["desk", "office chair", "wall"],
    image_root=_images,
    sem_seg_root=_labels,
    evaluator_type="sem_seg",
    ignore_label=255,
)
