"""`launch` as detectron2's: with several processes, spawned workers import the script anew (forks, where asked for)."""

import os

import torch.multiprocessing as mp

from detectron2.utils import comm


def launch(main_func, num_gpus_per_machine, num_machines=1, machine_rank=0, dist_url=None, args=(), timeout=None):
    if num_gpus_per_machine == 1:
        main_func(*args)
    else:
        kind = os.environ.get("HOST_START", "spawn")
        mp.start_processes(
            _worker, args=(main_func, args), nprocs=num_gpus_per_machine, daemon=False, start_method=kind
        )


def _worker(local_rank, main_func, args):
    comm.rank = local_rank
    main_func(*args)
