"""What prepare tells publish about a night: one JSON file in the night's work folder."""

from __future__ import annotations

import hashlib
import json
from datetime import date

from pydantic import BaseModel

from jobs.contracts import PUBLISHED, contract
from jobs.errors import InputError, NotFound
from jobs.fusion import Fusion
from jobs.prepare.blend import BLEND
from jobs.profile import Profile
from jobs.prompts import prompt_digest, prompt_names
from jobs.prose import language_digest
from jobs.storage import read_json, whole, write_json

FILE = "manifest.json"
PREPARE = 6  # version of its facts and candidates: raised when the same log and blend give others
DECODE_COST = 6.0  # work of a written token, in computed prompt tokens: 1577 and 248 a second, the demo's model on two cores


class Past(BaseModel):
    """What earlier nights tell of the next one's cost.

    `written_share` is written tokens over those that answers might have had; `work_per_second` by night is computed
    prompt tokens plus `DECODE_COST` of each written one over generate's seconds.
    """

    written_share: float | None = None
    work_per_second: list[float] = []


class Manifest(BaseModel):
    """Counts by source and reason (`valid`, `later` and `erased` among them), users, shards with work, the release before.

    `users_changed` are those that workers are asked about, `users_refreshed` those of them whose history is the same.
    `releases_known` is the last `sequence` of `releases` then.
    `made_with` is what contexts were made with, by name (profile, each prompt, model): a worker that finds another
    refuses. `sizes` are contexts by shard, `fusion` is what the model's scores count; `force` asks the model again for
    what is known.
    """

    run_id: str
    run_date: date
    users: int
    users_changed: int
    users_refreshed: int = 0
    shards: list[int]
    sizes: dict[int, int] = {}
    counts: dict[str, dict[str, int]]
    release_before: str | None
    releases_known: int = 0
    made_with: dict[str, str] = {}
    fusion: Fusion = Fusion()
    force: bool = False
    past: Past = Past()
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
    def rows_erased(self) -> int:
        """Records of users who were erased: neither used nor rejected."""
        return self.counts["events"].get("erased", 0)

    @property
    def rows_rejected(self) -> int:
        """Records in `rejected`."""
        used = sum(reasons.get("valid", 0) for reasons in self.counts.values())
        return self.rows_in - self.rows_later - self.rows_erased - used

    @property
    def rejected_share(self) -> float:
        """Share of the records of before the night that are in `rejected`."""
        before = self.rows_in - self.rows_later
        return self.rows_rejected / before if before else 0.0

    def refuse_changed(self, now: dict[str, str]) -> None:
        """Refuse to go on with anything but what contexts were made with.

        Raises:
            InputError: names what differs.
        """
        differs = [name for name, digest in now.items() if self.made_with.get(name, digest) != digest]
        if gone := differs + [name for name in self.made_with if name not in now]:
            raise InputError(f"changed since prepare: {', '.join(gone)}; start the night of {self.run_date} again")

    def write(self, work: str) -> None:
        """Write it into the night's work folder."""
        write_json(f"{work}/{FILE}", self.model_dump(mode="json"))


def read_manifest(profile: Profile, run_date: str, run_id: str) -> Manifest:
    """The manifest of a night as the run `run_id` prepared it.

    Raises:
        NotFound: prepare has not finished for that night, or another run has prepared it since.
        Damaged: the file is torn.
    """
    place = f"{profile.work(run_date)}/{FILE}"
    try:
        content = read_json(place)
        with whole(place):
            manifest = Manifest.model_validate(content)
        if manifest.run_id != run_id:
            raise NotFound(f"run {manifest.run_id} has prepared {run_date} since; {run_id} cannot go on")
        return manifest
    except FileNotFoundError as error:
        raise NotFound(f"{place} is missing: prepare has not finished for {run_date}") from error


def made_with(profile: Profile, model: str | None, fusion: Fusion) -> dict[str, str]:
    """Digests of what a user's outputs depend on beside the data: code, contracts, profile, what the model's scores count,
    each prompt, our own sentences and, where known, the model."""
    columns = json.dumps([contract(name).json() for name in PUBLISHED])
    code = {"jobs/prepare": f"{PREPARE} {BLEND}", "schemas": hashlib.sha256(columns.encode()).hexdigest()}
    prompts = {f"prompts/{name}.md": prompt_digest(name) for name in prompt_names()}
    language = profile.words.language
    prompts[f"prompts/templates/{language}.yaml"] = language_digest(language)
    weights = {"weight of scores": f"{fusion.weight} {fusion.scorer}" if fusion.weight else "0"}
    return code | weights | {f"profile {profile.name}": profile.fingerprint} | prompts | ({"model": model} if model else {})
