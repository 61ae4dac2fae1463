from dataclasses import dataclass
from typing import Type


@dataclass
class InstantiateConfig:
    _target: Type

    def setup(self, **kwargs):
        return self._target(self, **kwargs)
