import os
from glob import glob

import hydra
import numpy as np
from openmask3d.data.load import Camera, Images, InstanceMasks3D, PointCloud, get_number_of_images
from openmask3d.mask_features_computation.features_extractor import FeaturesExtractor


@hydra.main(config_path="configs", config_name="openmask3d_scannet200_eval")
def main(ctx):
    out_folder = ctx.output.output_directory
    os.chdir(hydra.utils.get_original_cwd())
    if not os.path.exists(out_folder):
        os.makedirs(out_folder)
    for masks_path in sorted(glob(os.path.join(ctx.data.masks.masks_path, ctx.data.masks.masks_suffix))):
        scene_num_str = masks_path.split("/")[-1][5:12]
        path = os.path.join(ctx.data.scans_path, "scene" + scene_num_str)
        poses_path = os.path.join(path, ctx.data.camera.poses_path)
        masks = InstanceMasks3D(masks_path)
        indices = np.arange(0, get_number_of_images(poses_path), step=ctx.openmask3d.frequency)
        images_path = os.path.join(path, ctx.data.images.images_path)
        images = Images(images_path=images_path, extension=ctx.data.images.images_ext, indices=indices)
        pointcloud = PointCloud(glob(os.path.join(path, "*vh_clean_2.ply"))[0])
        camera = Camera(
            intrinsic_path=os.path.join(path, ctx.data.camera.intrinsic_path),
            intrinsic_resolution=ctx.data.camera.intrinsic_resolution,
            poses_path=poses_path,
            depths_path=os.path.join(path, ctx.data.depths.depths_path),
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
            device="cpu",
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
        np.save(os.path.join(out_folder, f"scene{scene_num_str}_openmask3d_features.npy"), features)


if __name__ == "__main__":
    main()
