import os

import numpy as np
import torch
import trimesh
from PIL import Image


def get_number_of_images(poses_path):
    i = 0
    while os.path.isfile(os.path.join(poses_path, str(i) + ".txt")):
        i += 1
    return i


class Camera:
    def __init__(self, intrinsic_path, intrinsic_resolution, poses_path, depths_path, extension_depth, depth_scale):
        self.intrinsic = np.loadtxt(intrinsic_path)[:3, :3]
        self.intrinsic_original_resolution = intrinsic_resolution
        self.poses_path = poses_path
        self.depths_path = depths_path
        self.extension_depth = extension_depth
        self.depth_scale = depth_scale


class Images:
    def __init__(self, images_path, extension, indices):
        self.images_path = images_path
        self.extension = extension
        self.indices = indices
        self.images = self.load_images(indices)

    def load_images(self, indices):
        return [Image.open(os.path.join(self.images_path, f"{i}{self.extension}")).convert("RGB") for i in indices]


class InstanceMasks3D:
    def __init__(self, masks_path):
        self.masks = torch.load(masks_path)
        self.num_masks = self.masks.shape[1]


class PointCloud:
    def __init__(self, point_cloud_path):
        self.points = np.asarray(trimesh.load(point_cloud_path, process=False).vertices)
        self.num_points = self.points.shape[0]
