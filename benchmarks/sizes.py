"""What installing the core brings: every package, its size on disk and its licence, as a Markdown table.

``python benchmarks/sizes.py`` prints the table of CONTRIBUTING.md for the environment that it runs in. A package is in
it because opendas-plugin asks for it, or because one that is in it does.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "opendas-plugin"
CUDA = "torch's CUDA packages (Linux alone; its CPU build has none)"
CUDA_NAMES = re.compile(r"nvidia-|cuda-|triton$")
SMALL = 2
SPELT = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "FreeBSD": "BSD",
    "MIT License": "MIT",
    "Other/Proprietary License": "NVIDIA",
    "LicenseRef-NVIDIA-Proprietary": "NVIDIA",
    "NVIDIA Proprietary Software": "NVIDIA",
}


def main() -> None:
    """Prints the table, largest first, with the sum; CUDA's packages share a row, and so do the small ones."""
    rows: dict[str, tuple[float, set[str]]] = {}
    for name, package in closure(ROOT).items():
        if name == ROOT:
            continue
        megabytes = size(package)
        row = CUDA if CUDA_NAMES.match(name) else name if megabytes >= SMALL else f"packages below {SMALL} MB"
        before, terms = rows.get(row, (0.0, set()))
        rows[row] = (before + megabytes, terms | {licence(package)})
    print("| package | MB | licence |\n| --- | --- | --- |")
    for row, (megabytes, terms) in sorted(rows.items(), key=lambda item: -item[1][0]):
        print(f"| {row} | {megabytes:.0f} | {', '.join(sorted(terms))} |")
    print(f"| all | {sum(megabytes for megabytes, _ in rows.values()):.0f} | |")


def closure(root: str) -> dict[str, Distribution]:
    """The package ``root`` and all that it asks for here, without extras, by canonical name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(root)]
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for line in found[name].requires or ():
            wanted = Requirement(line)
            extras = asked.extras or {""}
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(wanted)
    return found


def size(package: Distribution) -> float:
    """Millions of bytes of a package's installed files, compiled Python included."""
    paths = (path.locate() for path in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def licence(package: Distribution) -> str:
    """What a package's metadata says of its licence: the SPDX expression, else the classifiers, else free words."""
    said = package.metadata
    classifiers = [line.split(" :: ")[-1] for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    words = said.get("License-Expression") or ", ".join(classifiers) or said.get("License") or "not stated"
    if "Redistribution and use in source and binary forms" in words:  # a whole text in the place of a name
        return "BSD"
    return SPELT.get(words, words)


if __name__ == "__main__":
    main()
