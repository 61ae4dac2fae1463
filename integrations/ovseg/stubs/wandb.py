"""Stands in for wandb, which OVSeg imports everywhere and uses in training alone."""


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ModuleNotFoundError("OVSeg logs its training to wandb; pip install wandb", name="wandb")
