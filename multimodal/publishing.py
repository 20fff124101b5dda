"""From a folder to the hub: what saves itself can be uploaded."""

from __future__ import annotations

import tempfile
from typing import Any

from multimodal import hub


class NotUploaded(ValueError):
    """The hub took nothing; the message says why."""


class Publishable:
    """The part of a model, a configuration or a processor that puts it on the hub."""

    def save_pretrained(self, folder: Any, **options: Any) -> Any:
        """Write it into a folder."""
        raise NotImplementedError

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        commit_description: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        **options: Any,
    ) -> Any:
        """Upload what `save_pretrained` writes to the repository `name` or `owner/name`, which is made where there is none.

        `private` counts for a new repository. `options` are those of `save_pretrained`. Returns the commit as
        huggingface_hub describes it. Errors: NotUploaded, a ValueError; ValueError for a `repo_id` that is none.
        """
        from huggingface_hub import HfApi, errors
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(repo_id)
        except errors.HFValidationError as error:
            raise ValueError(f"repo_id: expected `name` or `owner/name`, got {repo_id!r}") from error
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, **options)
            api = HfApi(token=token)
            try:
                repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
                if revision is not None:
                    api.create_branch(repository, branch=revision, exist_ok=True)
                return api.upload_folder(
                    repo_id=repository,
                    folder_path=folder,
                    commit_message=commit_message or f"Upload {type(self).__name__}",
                    commit_description=commit_description,
                    revision=revision,
                    create_pr=create_pr,
                )
            except (OSError, errors.HfHubHTTPError) as error:
                raise NotUploaded(f"push_to_hub: {repo_id}: not uploaded ({hub.reason(error)})") from error
