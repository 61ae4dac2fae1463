"""Uploads to the Hugging Face hub, with errors in one sentence that never hold a token."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from opendas_plugin.errors import OutputError
from opendas_plugin.model.cards import CARD, is_edited


def prepare(repo_id: str, *, private: bool | None, token: str | None, branch: str | None) -> tuple[str, str | None]:
    """Makes the repository and the branch where there are none.

    Returns:
        The repository's whole id, and its card where someone has edited it.
    """
    api = HfApi(token=token)
    repo_id = str(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
    if branch is not None:
        api.create_branch(repo_id, branch=branch, exist_ok=True)
    with contextlib.suppress(EntryNotFoundError, RepositoryNotFoundError), tempfile.TemporaryDirectory() as cache:
        card = Path(api.hf_hub_download(repo_id, CARD, revision=branch, cache_dir=cache)).read_text(encoding="utf-8")
        return repo_id, card if is_edited(card) else None
    return repo_id, None  # a new one


def upload(repo_id: str, folder: str, token: str | None, branch: str | None, message: str, create_pr: bool) -> str:
    """Uploads the files of ``folder``; returns the commit's address."""
    return str(
        HfApi(token=token).upload_folder(
            repo_id=repo_id, folder_path=folder, revision=branch, commit_message=message, create_pr=create_pr or None
        )
    )


@contextlib.contextmanager
def said(repo_id: str, token: str | None) -> Iterator[None]:
    """Turns what the hub or the network say into one sentence.

    Raises:
        OutputError: the upload failed.
    """
    try:
        yield
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        if isinstance(error, OutputError):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        reason = lines[-1].strip().rstrip(".") if isinstance(error, HfHubHTTPError) else lines[0].rstrip(".")
        reason = reason.replace(token, "***") if token else reason
        raise OutputError(
            f"could not upload to {repo_id} ({reason}); check the name, the token and the network"
        ) from None
