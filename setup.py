"""Packaging of OpenDAS-plugin: ``pip install .`` for use, ``pip install -e '.[dev]'`` for work on it."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'"(\d.+)"', (HERE / "opendas_plugin" / "version.py").read_text(encoding="utf-8")).group(1)

# Rays are cast by Embree. Its own wheel, where it has one; libigl's is the same Embree at a ninth of the speed.
INTEL, APPLE = "platform_machine == 'x86_64' or platform_machine == 'AMD64'", "sys_platform == 'darwin'"
RAY_CASTERS = [
    f"embreex>=2.17; {INTEL} or {APPLE}",
    "libigl>=2.6; sys_platform == 'linux' and platform_machine == 'aarch64'",
]

EXTRAS = {
    "openai": ["openai>=1.50"],
    "3d": ["open3d>=0.18"],
    "cv": ["opencv-python>=4.8"],
    "onnx": ["onnx>=1.17", "onnxscript>=0.3", "onnxruntime>=1.20"],
    "transformers": ["transformers>=4.45", "sentencepiece>=0.2", "protobuf>=4"],
    "reports": [],  # pictures and pages are part of the core; commands that people have kept still work
    "cluster": ["submitit>=1.5"],
    "trackers": ["tensorboard>=2.14", "trackio>=0.5", "wandb>=0.17"],
    "segment": ["scikit-image>=0.22", "transformers>=4.46"],
    "demo": ["gradio>=6", "scikit-image>=0.22"],
}
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"]
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})
EXTRAS["docs"] = DOCS
EXTRAS["dev"] = [
    *DOCS,
    *EXTRAS["onnx"],
    *EXTRAS["openai"],
    *EXTRAS["segment"],
    *EXTRAS["cluster"],
    *EXTRAS["transformers"],
    "clip-anytorch>=2.6",  # OpenAI's clip package, as it is on PyPI
    "hypothesis>=6.90",
    "libigl>=2.6",  # compared with embreex wherever both are
    "ipykernel>=6",  # runs the notebooks
    "mypy>=1.11",
    "nbclient>=0.8",
    "pytest>=8",
    "pytest-cov>=5",
    "pytest-xdist>=3.6",  # two processes
    "ruff>=0.6",
    "scikit-learn>=1.3",  # the metrics' oracle
    "tensorboard>=2.14",  # reads what training writes for it
    "supervision>=0.25",  # reads what opendas-segment writes
    "transformers>=5",  # makes and reads the tokenizers that some backbones have
    "types-PyYAML",
    "types-tqdm",
    "uv>=0.5",  # resolves the requirements for machines that are not here
]

setup(
    name="opendas-plugin",
    version=VERSION,
    description="Adapters that fit CLIP to your own domain in open-vocabulary segmentation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="OpenDAS-plugin authors",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["opendas_plugin", "opendas_plugin.*", "integrations", "integrations.*"]),
        "hydra_plugins.opendas_openmask3d",  # a namespace package: hydra looks for its plug-ins there
    ],
    package_dir={"hydra_plugins.opendas_openmask3d": "integrations/openmask3d/hydra_plugins/opendas_openmask3d"},
    package_data={
        "opendas_plugin": [
            *("py.typed", "recipes/*.yaml", "office/*.json", "office/*.yaml"),
            *("model/tiny/*", "reports/templates/*"),
        ]
    },
    install_requires=[
        "torch>=2.6",
        "torchvision>=0.21",  # its releases pin the torch that they match
        "open_clip_torch>=3.0,<4",
        "timm>=1.0.17,<2",  # open_clip's own requirement
        *RAY_CASTERS,
        "huggingface_hub>=0.24",
        "jinja2>=3.1",  # torch's own requirement
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10.1",
        "pycocotools>=2.0.8",
        "PyYAML>=6.0",
        "safetensors>=0.4.3",
        "scipy>=1.10",
        "tqdm>=4.66",
        "trimesh>=4.4",
        "tyro>=0.9",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "opendas-prepare = opendas_plugin.commands.prepare_data:main",
            "opendas-negatives = opendas_plugin.commands.generate_negatives:main",
            "opendas-train = opendas_plugin.commands.train_prompts:main",
            "opendas-evaluate = opendas_plugin.commands.evaluate:main",
            "opendas-bench = opendas_plugin.commands.bench:main",
            "opendas-compare = opendas_plugin.commands.compare:main",
            "opendas-export = opendas_plugin.commands.export_adapter:main",
            "opendas-reproduce = opendas_plugin.commands.reproduce:main",
            "opendas-probe = opendas_plugin.commands.probe:main",
            "opendas-run = opendas_plugin.commands.run:main",
            "opendas-backbones = opendas_plugin.commands.backbones:main",
            "opendas-segment = opendas_plugin.commands.segment:main",
            "opendas-visualize = opendas_plugin.commands.visualize:main",
            "opendas-demo = opendas_plugin.commands.demo:main",
            "opendas-ovseg = integrations.ovseg.launcher:main",
            "opendas-openmask3d = integrations.openmask3d.launcher:main",
        ]
    },
)
