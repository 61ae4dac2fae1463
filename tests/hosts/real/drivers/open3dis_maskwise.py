"""Open3DIS' maskwise_vocab.py, whole, beside a stand-in for a name that it imports and its checkout has not.

open3dis_maskwise.py SCRIPT --config FILE --type 3D
"""

import runpy
import sys
import types

name = "open3dis.src.clustering.clustering"
sys.modules[name] = types.ModuleType(name)
sys.modules[name].process_hierarchical_agglomerative = None  # which the script never calls
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
