"""What prepare tells publish about a night: one JSON file in the night's work folder."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from jobs.errors import NotFound
from jobs.profile import Profile
from jobs.storage import read_json, write_json


class Manifest(BaseModel):
    """Counts by source and reason (`valid` and `later` among them), users, shards with work, the release before."""

    run_id: str
    run_date: date
    users: int
    users_changed: int
    shards: list[int]
    counts: dict[str, dict[str, int]]
    release_before: str | None
    seconds: dict[str, float]

    @property
    def rows_in(self) -> int:
        """Records read from both inputs."""
        return sum(sum(reasons.values()) for reasons in self.counts.values())

    @property
    def rows_later(self) -> int:
        """Valid events that this night must not see."""
        return self.counts["events"].get("later", 0)

    @property
    def rows_rejected(self) -> int:
        """Records in `rejected`."""
        return self.rows_in - self.rows_later - sum(reasons.get("valid", 0) for reasons in self.counts.values())

    def write(self, profile: Profile) -> None:
        write_json(_path(profile, str(self.run_date)), self.model_dump(mode="json"))


def read_manifest(profile: Profile, run_date: str, run_id: str) -> Manifest:
    """The manifest of a night as the run `run_id` prepared it.

    Raises:
        NotFound: prepare has not finished for that night, or another run has prepared it since.
    """
    try:
        manifest = Manifest.model_validate(read_json(_path(profile, run_date)))
        if manifest.run_id != run_id:
            raise NotFound(f"run {manifest.run_id} has prepared {run_date} since; {run_id} cannot go on")
        return manifest
    except FileNotFoundError as error:
        raise NotFound(f"{_path(profile, run_date)} is missing: prepare has not finished for {run_date}") from error


def _path(profile: Profile, run_date: str) -> str:
    return f"{profile.work(run_date)}/manifest.json"
