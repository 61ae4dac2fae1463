"""A user's program that shares adapters by the hub at HF_ENDPOINT; prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import open_clip
import torch
from huggingface_hub import HfApi

from opendas_plugin.errors import OpenDASError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

config, token, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
open_clip.add_model_config(config)
seen: dict = {}


def state(clip):
    return [value.sum().item() for value in clip.learnt_state().values()]


def refused(call) -> str:
    try:
        call()
    except OpenDASError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


clip = OpenDASCLIP.from_backbone(config.stem, seed=3, prompts=PromptConfig(visual_tokens=2, text_tokens=2))
clip.config = clip.config.__class__(**{**vars(clip.config), "base_names": ("door", "desk")})
for name in ("me/adapter", "me/lfs"):
    first = clip.push_to_hub(name, private=True, token=token)
    before = state(clip)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.25)
    second = clip.push_to_hub(name, token=token, commit_message="Learn more")
    revision = first.rpartition("/")[2]
    old = OpenDASCLIP.from_pretrained(name, token=token, revision=revision, cache_dir=folder / name)
    new = OpenDASCLIP.from_pretrained(name, token=token, cache_dir=folder / name)
    seen[name] = {
        "first": first,
        "second": second,
        "same": [state(old) == before, state(new) == state(clip), state(old) == state(new)],
    }
clip.push_to_hub("me/adapter", token=token, branch="trial", commit_message="Try")
seen["branch"] = state(OpenDASCLIP.from_pretrained("me/adapter", token=token, revision="trial")) == state(clip)
api = HfApi(token=token)
shown = api.hf_hub_download("me/lfs", "README.md", cache_dir=folder / "shown")
edited = Path(shown).read_text(encoding="utf-8").replace("## Limits", "Words of a reader.\n\n## Limits")
api.upload_file(path_or_fileobj=edited.encode(), path_in_repo="README.md", repo_id="me/lfs", commit_message="Edit")
clip.push_to_hub("me/lfs", token=token, commit_message="Learn once more")
other = folder / "elsewhere"
seen["without a token"] = refused(lambda: OpenDASCLIP.from_pretrained("me/adapter", cache_dir=other))
seen["no revision"] = refused(
    lambda: OpenDASCLIP.from_pretrained("me/adapter", token=token, revision="none", cache_dir=other)
)
seen["wrong token"] = refused(lambda: clip.push_to_hub("me/adapter", token=token + "wrong"))
print(json.dumps(seen))
