"""What is three-dimensional: cameras, views, point clouds, meshes, and the layouts that hold them."""
