"""On the path of a host process: what asks for CUDA gets the CPU, and open_clip finds configurations of few layers."""

import os
import sys

_OTHERS = ("opendas_plugin.commands.run", "multiprocessing.resource_tracker")  # which load no CLIP

if "HOSTS_CONFIGS" in os.environ and not any(name in word for name in _OTHERS for word in sys.orig_argv):
    import matplotlib
    import open_clip
    import torch
    from torch.overrides import TorchFunctionMode

    def on_cpu(value):
        if isinstance(value, str) and value.split(":")[0] == "cuda":
            return "cpu"
        return torch.device("cpu") if isinstance(value, torch.device) and value.type == "cuda" else value

    class OnCPU(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.Tensor.cuda:
                return args[0]
            kwargs = {name: on_cpu(value) for name, value in (kwargs or {}).items()}
            return function(*map(on_cpu, args), **kwargs)

    OnCPU().__enter__()
    read = torch.load
    torch.load = lambda *args, **kwargs: read(*args, **{**kwargs, "map_location": "cpu"})
    move = torch.nn.Module.to
    torch.nn.Module.to = lambda self, *args, **kwargs: move(
        self, *map(on_cpu, args), **{name: on_cpu(value) for name, value in kwargs.items()}
    )
    matplotlib.use = lambda *args, **kwargs: None  # there is no display
    open_clip.add_model_config(os.environ["HOSTS_CONFIGS"])
