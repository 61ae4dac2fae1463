"""What the real hosts are run on: random CLIPs of the architectures that they ask for, adapters, and a kitchen."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from opendas_plugin import methods
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.scenes.pointcloud import write_ply

KITCHEN = Path("/work/shared/data/redkitchen")
LAYERS = {"ViT-B-16": 3, "ViT-H-14": 2, "ViT-L-14-336": 2}
"""Architectures that hosts ask for, and the layers that are left of them in each tower."""
HUBS = {
    "ViT-B-16": "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
    "ViT-H-14": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
}
_REVISION = "0" * 40
FRAMES = ("000000", "000050", "000100")


@dataclass(frozen=True)
class World:
    """A folder of configurations, weights by name, adapters by backbone and method, and a kitchen in three layouts."""

    folder: Path
    weights: dict[str, Path]

    def adapter(self, backbone: str, method: str) -> Path:
        """An adapter moved away from where it starts."""
        return self.folder / "adapters" / backbone / method


def make_world(folder: Path) -> World:
    """Makes all of it; open_clip's own configurations count again in the end."""
    configs = Path(open_clip.__file__).parent / "model_configs"
    (folder / "configs").mkdir(parents=True)
    for name, layers in LAYERS.items():
        config = json.loads((configs / f"{name}.json").read_text())
        config["vision_cfg"]["layers"] = config["text_cfg"]["layers"] = layers
        if width := int(os.environ.get("HOSTS_WIDTH", "0")):
            config["vision_cfg"] |= {"width": width, "head_width": 64}
            config["text_cfg"] |= {"width": width, "heads": width // 64}
        (folder / "configs" / f"{name}.json").write_text(json.dumps(config))
    weights = {name: make_weights(name, folder) for name in LAYERS}
    open_clip.add_model_config(folder / "configs")
    for backbone in LAYERS:
        for method in ("opendas", "opendas_plus"):
            make_adapter(backbone, method, weights[backbone], folder / "adapters" / backbone / method)
    open_clip.add_model_config(configs)
    make_pictures(folder)
    return World(folder, weights)


def make_weights(name: str, folder: Path) -> Path:
    """Writes random weights: in a hub cache under the tag's id, or as OpenAI's package reads them."""
    torch.manual_seed(1)
    config = json.loads((folder / "configs" / f"{name}.json").read_text())
    model = open_clip.CLIP(
        **{key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")}, quick_gelu=name not in HUBS
    )
    if name not in HUBS:
        open_clip.convert_weights_to_fp16(model)
        torch.save(model.state_dict(), folder / f"{name}.pt")
        return folder / f"{name}.pt"
    path = hub_file(folder / "hub", name)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return path


def hub_file(hub: Path, name: str) -> Path:
    """Where the weights of a tag lie in a hub cache, whose folders are made."""
    cached = hub / f"models--{HUBS[name].replace('/', '--')}"
    for place in (cached / "snapshots" / _REVISION, cached / "refs"):
        place.mkdir(parents=True, exist_ok=True)
    (cached / "refs" / "main").write_text(_REVISION)
    return cached / "snapshots" / _REVISION / "open_clip_model.safetensors"


def units(features: np.ndarray) -> np.ndarray:
    """Features (..., D) of unit length."""
    values = np.asarray(features, np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def differences(found: dict[str, np.ndarray], plain: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest difference of unit features, by name."""
    assert found.keys() == plain.keys()
    return {name: float(np.abs(units(found[name]) - units(plain[name])).max()) for name in plain}


def make_adapter(backbone: str, method: str, weights: Path, folder: Path) -> None:
    """Saves an adapter whose values are moved by a normal error of 0.05."""
    found = methods.get(method)
    name, file = (backbone, weights) if backbone in HUBS else (str(weights), None)
    clip = OpenDASCLIP.from_backbone(name, file, prompts=found.prompts, weights=found.weights)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    clip.save_pretrained(folder, method=method)


def make_pictures(folder: Path) -> None:
    """RedKitchen's frames as LangSplat, ConceptGraphs (Replica's layout) and Open3DIS (ScanNet's) read them."""
    replica, scannet = folder / "replica" / "kitchen", folder / "scannet" / "kitchen"
    for place in (
        folder / "photos/images",
        replica / "results",
        *(scannet / name for name in ("color", "depth", "pose")),
    ):
        place.mkdir(parents=True)
    intrinsic, poses, points = np.loadtxt(KITCHEN / "camera-intrinsics.txt"), [], []
    for number, frame in enumerate(FRAMES):
        colour, depth = KITCHEN / f"frame-{frame}.color.jpg", KITCHEN / f"frame-{frame}.depth.png"
        pose = np.loadtxt(KITCHEN / f"frame-{frame}.pose.txt")
        if number < 2:
            shutil.copy(colour, folder / "photos/images" / f"{frame}.jpg")
        for source, place in ((colour, f"frame{number:06d}.jpg"), (depth, f"depth{number:06d}.png")):
            shutil.copy(source, replica / "results" / place)
        for source, place in ((colour, f"color/{number}.jpg"), (depth, f"depth/{number}.png")):
            shutil.copy(source, scannet / place)
        np.savetxt(scannet / "pose" / f"{number}.txt", pose)
        poses.append(" ".join(map(str, pose.reshape(-1))))
        points.append(seen_points(np.asarray(Image.open(depth)) / 1000, intrinsic, pose))
    (replica / "traj.txt").write_text("\n".join(poses) + "\n")
    camera = {"image_height": 480, "image_width": 640, "png_depth_scale": 1000.0}
    camera |= {"fx": intrinsic[0, 0], "fy": intrinsic[1, 1], "cx": intrinsic[0, 2], "cy": intrinsic[1, 2]}
    config = {"dataset_name": "replica", "camera_params": camera}
    (folder / "replica/kitchen.yaml").write_text(json.dumps(config))
    (folder / "replica/classes.txt").write_text("door\ncupboard\nsink\nwall\nmug\n")
    make_open3dis_inputs(folder, scannet, np.concatenate(points))


def seen_points(depth: np.ndarray, intrinsic: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Every 12th pixel of a depth map (H, W), in metres, as points of the world (N, 3)."""
    rows, columns = np.mgrid[: depth.shape[0] : 12, : depth.shape[1] : 12]
    z = depth[rows, columns]
    x, y = (columns - intrinsic[0, 2]) * z / intrinsic[0, 0], (rows - intrinsic[1, 2]) * z / intrinsic[1, 1]
    points = np.stack([x, y, z], axis=-1)[(z > 0.3) & (z < 6)]
    return points @ pose[:3, :3].T + pose[:3, 3]


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask (N,) as Open3DIS keeps it: where runs begin, counted from 1, and how long they are."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False]))
    counts = np.stack([edges[::2] + 1, edges[1::2] - edges[::2]], axis=1)
    return {"length": len(mask), "counts": counts.reshape(-1).tolist()}


def make_open3dis_inputs(folder: Path, scene: Path, points: np.ndarray) -> None:
    """The cloud, and masks in it: slabs along an axis."""
    np.savetxt(scene / "intrinsic.txt", np.eye(4))
    write_ply(folder / "scannet/ply/kitchen.ply", points, np.full((len(points), 3), 128, np.uint8))
    bounds = np.quantile(points[:, 0], [0, 0.3, 0.6, 1])
    slabs = [(points[:, 0] >= low) & (points[:, 0] < high) for low, high in itertools.pairwise(bounds)]
    for name in ("proposals", "exp/kitchen/hier_agglo"):
        (folder / "scannet" / name).mkdir(parents=True)
        masks = {"ins": [run_lengths(slab) for slab in slabs], "conf": [0.9] * len(slabs)}
        torch.save(masks, folder / "scannet" / name / "kitchen.pth")
    (folder / "scannet/split.txt").write_text("kitchen\n")
    place = folder / "scannet"
    config = {
        "foundation_model": {"clip_model": str(folder / "ViT-L-14-336.pt")},
        "data": {
            "dataset_name": "scannet200",
            "split_path": str(place / "split.txt"),
            "datapath": str(place),
            "original_ply": str(place / "ply"),
            "cls_agnostic_3d_proposals_path": str(place / "proposals"),
            "img_dim": [640, 480],
            "cut_num_pixel_boundary": 10,
            "img_interval": 1,
        },
        "refine_grounding": {"top_k": 2},
        "final_instance": {"iou_overlap": 0.9, "scale_semantic_score": 100},
        "exp": {
            "exp_name": "kitchen",
            "save_dir": str(place / "exp"),
            "clustering_3d_output": "hier_agglo",
            "grounded_feat_output": "grounded",
            "refined_grounded_feat_output": "refined",
            "final_output": "final",
        },
        "proposals": {"p2d": False, "p3d": True},
        "fp16": True,
    }
    (place / "open3dis.yaml").write_text(json.dumps(config))
