import os

import hydra
import numpy as np
from openmask3d.data.load import Camera, Images, InstanceMasks3D, PointCloud, get_number_of_images
from openmask3d.mask_features_computation.features_extractor import FeaturesExtractor


@hydra.main(config_path="configs", config_name="openmask3d_inference")
def main(ctx):
    out_folder = ctx.output.output_directory
    os.chdir(hydra.utils.get_original_cwd())
    masks = InstanceMasks3D(ctx.data.masks.masks_path)
    indices = np.arange(0, get_number_of_images(ctx.data.camera.poses_path), step=ctx.openmask3d.frequency)
    images = Images(images_path=ctx.data.images.images_path, extension=ctx.data.images.images_ext, indices=indices)
    print(f"[INFO] Images loaded. {len(images.images)} images found.")
    pointcloud = PointCloud(ctx.data.point_cloud_path)
    camera = Camera(
        intrinsic_path=ctx.data.camera.intrinsic_path,
        intrinsic_resolution=ctx.data.camera.intrinsic_resolution,
        poses_path=ctx.data.camera.poses_path,
        depths_path=ctx.data.depths.depths_path,
        extension_depth=ctx.data.depths.depths_ext,
        depth_scale=ctx.data.depths.depth_scale,
    )
    features_extractor = FeaturesExtractor(
        camera=camera,
        clip_model=ctx.external.clip_model,
        images=images,
        masks=masks,
        pointcloud=pointcloud,
        sam_model_type=ctx.external.sam_model_type,
        sam_checkpoint=ctx.external.sam_checkpoint,
        vis_threshold=ctx.openmask3d.vis_threshold,
        device=os.environ.get("HOST_DEVICE", "cpu"),
    )
    features = features_extractor.extract_features(
        topk=ctx.openmask3d.top_k,
        multi_level_expansion_ratio=ctx.openmask3d.multi_level_expansion_ratio,
        num_levels=ctx.openmask3d.num_of_levels,
        num_random_rounds=ctx.openmask3d.num_random_rounds,
        num_selected_points=ctx.openmask3d.num_selected_points,
        save_crops=ctx.output.save_crops,
        out_folder=out_folder,
        optimize_gpu_usage=ctx.gpu.optimize_gpu_usage,
    )
    scene_name = ctx.data.masks.masks_path.split("/")[-1][:-9]
    np.save(os.path.join(out_folder, f"{scene_name}_openmask3d_features.npy"), features)


if __name__ == "__main__":
    main()
