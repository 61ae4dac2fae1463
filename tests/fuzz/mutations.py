"""What can be wrong with an input file: bytes, JSON values, words of a text, pictures, links, encodings.

A mutation's ``repr`` is all that is needed to make it again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

TEXTS = {".json", ".jsonl", ".txt", ".yaml", ".csv", ".xml"}
PICTURES = {".png", ".jpg", ".jpeg", ".tif"}
VALUES = {
    "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "1e9": 1e9, "1e308": 1e308, "-1": -1, "0": 0,
    "1": 1, "2": 2, "half": 0.5, "true": True, "false": False, "null": None, "empty": "", "space": " ", "x": "x",
    "list": [], "object": {}, "nested": [[]], "255": 255, "65536": 65536, "2**31": 2**31, "2**63": 2**63,
    "10**30": 10**30, "long": "a" * 20000, "up": "../../etc/passwd", "root": "/etc/passwd", "zero byte": "a\0b",
    "half a pair": "\ud800", "escape": "\x1b[2J", "nfd": "e\u0301", "number": "12", "braces": "{}{0.__class__}",
    "ten": list(range(10)), "-2": -2, "1e-320": 1e-320,
}  # fmt: skip
WORDS = [
    "nan", "inf", "-inf", "1e9", "1e309", "-1", "0", "1", "3", "255", "1000", "99999999999999999999", "x", "", "'",
    "1.5", "0x10", "1_0", "\u0663", "\0", "../x", "/etc/passwd", "#", "true", "null", "[", "{}", "-", "a: b",
]  # fmt: skip


@dataclass(frozen=True)
class Bytes:
    """A change of a file's bytes at the share ``at`` of its length."""

    file: str
    what: str
    at: float
    data: bytes = b""

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        content = path.read_bytes()
        place = min(int(self.at * len(content)), max(0, len(content) - 1))
        if self.what == "cut":
            content = content[:place]
        elif self.what == "set":
            content = content[:place] + self.data + content[place + len(self.data) :]
        elif self.what == "insert":
            content = content[:place] + self.data + content[place:]
        elif self.what == "delete":
            content = content[:place] + content[place + max(1, len(self.data)) :]
        elif self.what == "flip":
            content = content[:place] + bytes([content[place] ^ 1 << len(self.data) % 8] if content else b"")
            content += path.read_bytes()[place + 1 :]
        path.write_bytes(content)


@dataclass(frozen=True)
class Json:
    """Another value at one place of a JSON file, or of one line of a JSON-lines file."""

    file: str
    place: int
    what: str
    value: str = "null"

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        at = self.place % len(lines)
        content = [json.loads(lines[at])]
        places = list(_places(content))
        parent, key = places[self.place // len(lines) % len(places)]
        if self.what == "value":
            parent[key] = VALUES[self.value]
        elif self.what == "delete":
            del parent[key]
        elif self.what == "twice" and isinstance(parent, list):
            parent.insert(key, parent[key])
        elif self.what == "text":
            parent[key] = str(parent[key])
        elif self.what == "wrap":
            parent[key] = [parent[key]]
        elif self.what == "swap":
            other, where = places[(self.place * 7 + 3) % len(places)]
            other[where] = json.loads(json.dumps(parent[key]))
        elif self.what == "add" and isinstance(parent[key], int | float):
            parent[key] = parent[key] + 1
        lines[at] = json.dumps(content[0]) if content else ""
        path.write_text("\n".join(lines), encoding="utf-8")


def _places(content):
    todo = [content]
    while todo:
        parent = todo.pop()
        for key in parent if isinstance(parent, dict) else range(len(parent)):
            yield parent, key
            if isinstance(parent[key], dict | list):
                todo.append(parent[key])


@dataclass(frozen=True)
class Word:
    """Another word in a line of a text, or a line that is gone, doubled or out of its place."""

    file: str
    line: int
    word: int
    what: str
    value: str = ""

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        lines = path.read_text(encoding="utf-8").split("\n")
        at = self.line % len(lines)
        if self.what == "word":
            words = lines[at].split(" ")
            words[self.word % len(words)] = self.value
            lines[at] = " ".join(words)
        elif self.what == "more":
            lines[at] += f" {self.value}"
        elif self.what == "delete":
            del lines[at]
        elif self.what == "twice":
            lines.insert(at, lines[at])
        elif self.what == "empty":
            lines.insert(at, "")
        elif self.what == "line":
            lines[at] = self.value
        elif self.what == "swap":
            other = self.word % len(lines)
            lines[at], lines[other] = lines[other], lines[at]
        path.write_text("\n".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class Picture:
    """Another picture under the same name: its size, its mode, its format, its values."""

    file: str
    what: str
    value: int = 0

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        picture = Image.open(path)
        picture.load()
        kind, how = picture.format, {}
        if self.what == "size":
            picture = picture.resize(
                (max(1, picture.width + self.value % 5 - 2), picture.height), Image.Resampling.NEAREST
            )
        elif self.what == "turned":
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        elif self.what == "one pixel":
            picture = picture.crop((0, 0, 1, 1))
        elif self.what == "mode":
            mode = ("1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16", "F", "P")[self.value % 9]
            picture = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
            kind = "TIFF" if mode in ("F", "CMYK") else "PNG"
        elif self.what == "format":
            kind = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")[self.value % 6]
            picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
        elif self.what == "value" and picture.mode in ("L", "P", "I;16", "I"):
            values = np.array(picture)
            values[values == values.flat[self.value % values.size]] = self.value % 256
            changed = Image.fromarray(values)
            if picture.mode == "P":
                changed.putpalette(picture.getpalette())
            picture = changed
        elif self.what == "exif":
            exif = Image.Exif()
            exif[0x0112] = 1 + self.value % 8
            how["exif"] = exif
        elif self.what == "huge":  # a header of 60000 x 60000 pixels, without them
            buffer = io.BytesIO()
            picture.convert("L").save(buffer, "PNG")
            header = bytearray(buffer.getvalue())
            header[16:24] = (60000).to_bytes(4, "big") * 2
            path.write_bytes(bytes(header))
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                picture.save(path, kind, **how)
            except (OSError, KeyError, ValueError):
                picture.convert("RGB").save(path, "PNG")


@dataclass(frozen=True)
class Whole:
    """A file that is gone, a folder, a link, or in another encoding."""

    file: str
    what: str

    HARMLESS = ("link", "folder link", "crlf", "bom", "last line", "spaces after", "again", "other")

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        content = path.read_bytes()
        if self.what == "folder link":
            other = folder.parent / f"behind {path.parent.relative_to(folder).as_posix().replace('/', ' ')}"
            shutil.move(path.parent, other)
            path.parent.symlink_to(other, target_is_directory=True)
            return
        if self.what == "other":  # a file that a machine leaves in folders
            (path.parent / ".DS_Store").write_bytes(b"\0\1")
            return
        path.unlink()
        if self.what == "link":
            other = folder.parent / f"copy of {self.file.replace('/', ' ')}"
            other.write_bytes(content)
            path.symlink_to(other)
        elif self.what == "loop":
            path.symlink_to(path.name)
        elif self.what == "dangling":
            path.symlink_to("nowhere")
        elif self.what == "folder":
            path.mkdir()
        elif self.what != "gone":
            path.write_bytes(self._encoded(content))

    def _encoded(self, content: bytes) -> bytes:
        if self.what == "empty":
            return b""
        if self.what == "bom":
            return b"\xef\xbb\xbf" + content
        if self.what == "crlf":
            return content.replace(b"\n", b"\r\n")
        if self.what == "utf-16":
            return content.decode("utf-8", "replace").encode("utf-16")
        if self.what == "latin-1":
            return content.replace(b"a", b"\xe4")
        if self.what == "zeros":
            return bytes(len(content))
        if self.what == "deep":
            return b"[" * 200000
        if self.what == "deep objects":
            return b'{"a":' * 50000 + b"1" + b"}" * 50000
        if self.what == "long number":
            return b"1" * 5000
        if self.what == "last line":
            return content.rstrip(b"\n")
        if self.what == "spaces after":
            return content.rstrip(b"\n") + b"\n\n"
        return content


Mutation = Bytes | Json | Word | Picture | Whole


def harmless(mutation: Mutation, path: Path) -> bool:
    """Whether a mutation must leave every figure as it is."""
    if not isinstance(mutation, Whole) or mutation.what not in Whole.HARMLESS:
        return False
    return mutation.what in ("link", "folder link", "again", "other") or path.suffix in TEXTS


def mutations(folder: Path, files: list[str]) -> st.SearchStrategy:
    """One change of one of the files in ``folder``."""
    return st.sampled_from(files).flatmap(lambda file: _of_file(file, Path(file).suffix))


def _of_file(file: str, suffix: str) -> st.SearchStrategy:
    where, data = st.just(file), st.binary(min_size=1, max_size=8)
    at = st.integers(0, 999).map(lambda thousandths: thousandths / 1000)
    kinds = [
        st.builds(Bytes, where, st.just("cut"), at),
        st.builds(Bytes, where, st.sampled_from(["set", "insert", "delete", "flip"]), at, data),
        st.builds(Whole, where, st.sampled_from(
            ["gone", "link", "loop", "dangling", "folder", "empty", "zeros", "folder link", "again", "other"]
        )),
    ]  # fmt: skip
    numbers = st.integers(0, 10**6)
    if suffix in TEXTS:
        kinds.append(st.builds(Whole, where, st.sampled_from(
            ["bom", "crlf", "utf-16", "latin-1", "last line", "spaces after", "deep", "deep objects", "long number"]
        )))  # fmt: skip
    if suffix in (".json", ".jsonl"):
        values = st.builds(Json, where, numbers, st.just("value"), st.sampled_from(sorted(VALUES)))
        others = st.sampled_from(["delete", "twice", "text", "wrap", "swap", "add"])
        kinds += [values, values, values, st.builds(Json, where, numbers, others)]
    elif suffix in TEXTS:
        words = st.builds(
            Word, where, numbers, numbers, st.sampled_from(["word", "word", "more", "line"]), st.sampled_from(WORDS)
        )
        kinds += [
            words,
            words,
            st.builds(Word, where, numbers, numbers, st.sampled_from(["delete", "twice", "empty", "swap"])),
        ]
    elif suffix in PICTURES:
        whats = ["size", "turned", "one pixel", "mode", "format", "value", "value", "exif", "huge"]
        kinds += [st.builds(Picture, where, st.sampled_from(whats), st.integers(0, 1000))] * 2
    return st.one_of(kinds)


def remove(folder: Path) -> None:
    """Removes a folder and all in it, links and not what they point at."""
    if folder.is_dir() and not folder.is_symlink():
        for root, folders, _ in os.walk(folder):
            for name in folders:
                if not (Path(root) / name).is_symlink():
                    os.chmod(Path(root) / name, 0o755)
        shutil.rmtree(folder)
