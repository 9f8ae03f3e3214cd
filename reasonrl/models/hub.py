"""Models of the Hugging Face hub: names with a revision, and what its errors mean for a user."""

from __future__ import annotations

from typing import Any

from reasonrl.host.network import HubUnreachable

LOG_IN = "Accept its terms on its page, and log in with `hf auth login` (or set HF_TOKEN)"

NO_CONNECTION = (
    "the connection to the hub failed. Check the network and HF_ENDPOINT, and start again: finished files are not"
    " downloaded twice"
)


def split_revision(name: str) -> tuple[str, str | None]:
    """`org/name@revision` -> (`org/name`, `revision`); None without one."""
    repository, separator, revision = name.partition("@")
    return (repository, revision) if separator else (name, None)


def download_snapshot(repository: str, revision: str | None, *, local_only: bool) -> str:
    """The folder with the files of a model at a revision: a branch, a tag or a commit; None: the newest. Raises what
    huggingface_hub raises.
    """
    from huggingface_hub import snapshot_download

    return str(
        snapshot_download(
            repository,
            revision=revision,
            local_files_only=local_only,
            allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken"],
        )
    )


def explain_hub_error(error: BaseException, *, local_only: bool) -> str | None:
    """What went wrong with the hub, and what to do. None where the hub had no part in it.

    transformers hides the errors of huggingface_hub behind its own; the chain of causes has them.
    """
    from huggingface_hub import errors

    chain = _causes(error)

    def has(*kinds: Any) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    status = next((code for link in chain if (code := _status(link)) is not None), None)
    if has(HubUnreachable):
        return NO_CONNECTION
    if has(errors.GatedRepoError):
        return f"the hub does not let you read it: it is gated. {LOG_IN}"
    if has(errors.RevisionNotFoundError):
        return (
            "the hub has no such revision of it. Write org/name@REVISION with a branch, a tag or a commit that exists"
        )
    if has(errors.RepositoryNotFoundError):
        return (
            "the hub has no such repository, or it is private. Check the name (org/name), or log in with"
            " `hf auth login` (or set HF_TOKEN)"
        )
    if has(errors.OfflineModeIsEnabled):
        return "it is not in the local cache, and the hub is switched off (HF_HUB_OFFLINE). Download it first"
    if status in (401, 403):
        return f"the hub does not let you read it (HTTP {status}). {LOG_IN}"
    if status == 429:
        return "the hub answers that there were too many requests (HTTP 429). Wait, or log in with `hf auth login`"
    if status is not None and status >= 500:
        return f"the hub answers with an error of its own (HTTP {status}). Try again later"
    if local_only and has(errors.LocalEntryNotFoundError):
        return "it is not in the local cache. Download it once with a network"
    if has(errors.LocalEntryNotFoundError) or any(_is_broken_connection(link) for link in chain):
        return NO_CONNECTION
    return None


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def _status(error: BaseException) -> int | None:
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _is_broken_connection(error: BaseException) -> bool:
    """By the names of its classes: huggingface_hub has been built on requests, httpx and httpx2."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"TransportError", "ConnectionError", "TimeoutError"})
