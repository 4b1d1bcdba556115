"""A profile: where the data is, how its columns map to ours, which model, which limits (TOML).

Unknown keys, missing ones and impossible values are one error that names each key, its value and what is allowed.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from jobs.errors import ProfileError
from jobs.home import REPOSITORY, home
from jobs.prose import PLAIN, languages, load_language
from jobs.publish.rules import RULES, Severity

DEFAULT_PROFILE = REPOSITORY / "infra" / "profiles" / "demo.toml"
REMOTE = ("s3a://", "gs://", "abfss://")


def _known_place(path: str) -> str:
    if "://" in path and not path.startswith(REMOTE):
        raise ValueError(f"a local path, or one that begins with {', '.join(REMOTE)}, is needed")
    return path


def _repeat(rule: int | str) -> int | str:
    if rule in ("never", "always") or (isinstance(rule, int) and rule >= 1):
        return rule
    raise ValueError('"never", "always" or a number of days from 1 is needed')


def _weight(weight: float | str) -> float | str:
    if weight == "measured" or (isinstance(weight, float) and weight >= 0):
        return weight
    raise ValueError('"measured" or a number from 0 is needed')


def _language(name: str) -> str:
    if name in languages():
        return name
    raise ValueError(f"a language of prompts/templates is needed: {', '.join(languages())}")


Name = Annotated[str, Field(min_length=1)]
Place = Annotated[str, Field(min_length=1), AfterValidator(_known_place)]  # a path or URI; see `resolve`
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """One table of the profile; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Events(Table):
    """The interaction log: its place, its format and which of its columns is what."""

    path: Place
    format: Literal["csv", "json", "parquet", "delta"]
    user: Name
    item: Name
    time: Name
    time_unit: Literal["s", "ms", "iso"]
    value: Name | None = None
    type: Name | None = None
    id: Name | None = None
    positive: Name | None = None  # SQL over value and type: what counts as liking; default: every event
    negative: Name | None = None  # likewise disliking; default: no event

    @property
    def columns(self) -> dict[str, str]:
        """Our column -> theirs, for the columns this log has."""
        roles = {"event_id": self.id, "user_id": self.user, "item_id": self.item, "time": self.time}
        return {ours: theirs for ours, theirs in (roles | {"value": self.value, "type": self.type}).items() if theirs}


class Items(Table):
    """The catalogue."""

    path: Place
    format: Literal["csv", "json", "parquet", "delta"]
    item: Name
    title: Name
    tags: Name | None = None
    tags_separator: Name | None = None
    creators: Name | None = None  # who made it: authors, directors, sellers
    creators_separator: Name | None = None
    year: Name | None = None
    noun: Name = "title"  # what one item is called in texts: film, book, tool
    text: list[Name] = []  # further columns the model may read

    @property
    def columns(self) -> dict[str, str]:
        """Our column -> theirs, for the columns this catalogue has; text columns keep their names."""
        roles = {"item_id": self.item, "title": self.title, "tags": self.tags, "creators": self.creators, "year": self.year}
        return {ours: theirs for ours, theirs in roles.items() if theirs}


class Endpoint(Table):
    """A server that speaks OpenAI's completions API and takes prompts as tokens: vLLM's, SGLang's, llama.cpp's."""

    url: Annotated[str, Field(pattern="^https?://")]  # up to and with /v1
    serves: Name | None = None  # the model's name there; default: path or name
    key_env: Name = "OPENAI_API_KEY"  # the environment variable that holds the key, if the server wants one
    concurrency: Count = 64  # requests at once
    retries: Annotated[int, Field(ge=0)] = 6  # of a request, with growing pauses or the server's Retry-After
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0  # of one try; all tries must fit into night.stall_seconds
    kv_tokens: Count = 200_000  # that the server can keep at once: how much the users in flight may fill


class Model(Table):
    """The language model and what its engine is started with."""

    path: Name | None = None  # a folder; relative ones are looked up under NOCTURNE_HOME
    name: Name | None = None  # a name vLLM resolves itself
    revision: Name | None = None
    max_model_len: Annotated[int, Field(ge=256)] = 2048
    engine: Literal["vllm", "openai", "fake"] = "vllm"  # fake: deterministic, for tests of everything else
    options: dict[str, str | int | float | bool] = {}  # passed on to vLLM as they are
    endpoint: Endpoint | None = None  # for engine = "openai"; path or name then say whose tokenizer it has

    @model_validator(mode="after")
    def one_place(self) -> Self:
        if (self.path is None) == (self.name is None):
            raise ValueError("exactly one of path and name is needed")
        if (self.engine == "openai") != (self.endpoint is not None):
            raise ValueError("[model.endpoint] is needed exactly for engine openai")
        return self

    @property
    def location(self) -> str:
        """What vLLM is given: an absolute folder or a name."""
        return self.name or resolve(str(self.path), home())

    @property
    def identity(self) -> str:
        """The model as a context's hash sees it."""
        served = f" as {self.endpoint.serves}" if self.endpoint and self.endpoint.serves else ""
        return f"{self.name or self.path}@{self.revision or ''}{served}"


class Budget(Table):
    """What a night's calls to the model may cost; users beyond it get templates until the next night."""

    calls: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None  # read and written
    seconds: Annotated[float, Field(ge=0)] | None = None  # of a shard's worker, in all its attempts


class Night(Table):
    """What a night makes for each user, and within which limits."""

    list_length: Count = 10
    candidates: Annotated[int, Field(ge=1, le=1000)] = 20
    new_items: Annotated[int, Field(ge=0)] = 1  # places kept for what content brings (`new_places`); 0: it brings nothing
    sentence_model: Name | None = None  # a folder (relative: under NOCTURNE_HOME): new items resemble others by meaning too
    history_length: Count = 50  # most recent events a context keeps
    explanations: Annotated[int, Field(ge=0)] = 3  # `personal` ones, of a list's first items; templates beyond
    scored: Annotated[int, Field(ge=0)] = 10  # candidates, best first, that the model scores
    cold_events: Annotated[int, Field(ge=0)] = 5  # users with fewer events are marked cold
    shards: Annotated[int, Field(ge=1, le=4096)] = 1
    chunk_users: Count = 16  # what was made is committed after so many finished users ...
    chunk_seconds: Annotated[float, Field(gt=0)] = 30.0  # ... or so long, with the answers of those who are not finished
    stall_seconds: Annotated[float, Field(gt=0)] = 600.0  # without any progress of the engine end a worker
    budget: Budget = Budget()
    experiment_holdout: Share = 0.0  # share of users whose list the model never touches
    repeat: Annotated[int | str, AfterValidator(_repeat)] = "never"  # or "always", or days until what was had may come again
    most_per_tag: Count | None = None  # of a list's items with one tag, as far as there are others; default: any number
    most_per_creator: Count | None = None  # likewise with one creator
    scorer: Literal["likelihood", "labels"] = "likelihood"  # how the model scores (jobs/generate/scoring.py)
    refresh_days: Annotated[int, Field(ge=0)] = 28  # within which everyone is made anew (jobs/prepare/refresh.py); 0: never
    refresh_overlap: Share = 0.0  # of a released list with what retrieval finds now, below which its user is made anew
    refresh_exact: bool = False  # whoever would get anything else is made anew
    permutations: Count = 4  # orders in which `labels` shows the candidates
    model_weight: Annotated[float | str, AfterValidator(_weight)] = "measured"  # by the newest evaluation, or a number; 0: none

    @property
    def fused_weight(self) -> float:
        """What the model's scores count in lists; 0 where that is not decided yet (`jobs.fusion`)."""
        return self.model_weight if isinstance(self.model_weight, float) else 0.0

    @model_validator(mode="after")
    def list_fits(self) -> Self:
        if self.list_length > self.candidates:
            raise ValueError(f"list_length {self.list_length} is more than candidates {self.candidates}")
        return self

    @property
    def compares(self) -> bool:
        """Whether everyone's context is made, to be compared with what is released."""
        return self.refresh_overlap > 0 or self.refresh_exact

    @property
    def sentence_folder(self) -> str | None:
        """Where the sentence model is."""
        return resolve(self.sentence_model, home()) if self.sentence_model else None

    @property
    def new_places(self) -> int:
        """Places kept for new items, in candidates and in the list: `new_items`, at most half of the list."""
        return min(self.new_items, self.list_length // 2)


SIZES = ("shards", "chunk_users", "chunk_seconds", "stall_seconds", "budget")  # change what a night costs, not what it says
REFRESHING = ("refresh_days", "refresh_overlap", "refresh_exact")  # change who is asked about, not what is said of them


CHECKED = "en"  # the language whose texts the checks can read (jobs/generate/checks)


class Words(Table):
    """Who writes a text: the model for each user (`personal`), the model once for each shape of facts, filled in
    (`phrasebook`), or nobody but ourselves (`template`). What the model writes is English."""

    summary: Literal["personal", "phrasebook", "template"] = "personal"
    explanation: Literal["personal", "phrasebook", "template"] = "personal"
    language: Annotated[str, AfterValidator(_language)] = CHECKED  # of templates: a file of prompts/templates
    tone: Name = PLAIN  # of all texts: one that the language's file has
    rolling: bool = False  # a summary tells what the last one told, as long as that is a fact
    phrasings: Name | None = None  # a file of what people say of phrasings (jobs/generate/review.py)

    @model_validator(mode="after")
    def can_be_said(self) -> Self:
        if self.tone not in (tones := load_language(self.language).tones):
            raise ValueError(f"tone {self.tone!r} is none of language {self.language!r}; allowed: {', '.join(tones)}")
        ways = [f"{name} = {way!r}" for name in ("summary", "explanation") if (way := getattr(self, name)) != "template"]
        if self.language != CHECKED and ways:
            allowed = f"allowed: 'template', or language = {CHECKED!r}"
            why = f"the checks read a model's words by an English grammar, so language = {self.language!r} has none; {allowed}"
            raise ValueError(f"{', '.join(ways)}: {why}")
        return self

    @property
    def file(self) -> str | None:
        """Where what people say of phrasings is."""
        return resolve(self.phrasings) if self.phrasings else None

    @property
    def reviewed(self) -> str:
        """What stands in it.

        Raises:
            ProfileError: it cannot be read.
        """
        try:
            return Path(self.file).read_text(encoding="utf-8") if self.file else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"words.phrasings: {self.file}: {error}") from error


class Evaluation(Table):
    """How lists are judged on held-out events."""

    users: Count = 20_000  # a sample of at most so many; every method learns from their events alone
    min_events: Count = 5  # of users and items, in the split leave_one_out, as published figures have it
    groups: Count = 10  # of users by the time of their held-out event, in the split temporal
    scored_users: Annotated[int, Field(ge=0)] = 1000  # to find the model's weight with, and as many to judge it; 0: no model


class Storage(Table):
    """Where tables go; by default a folder under NOCTURNE_HOME named after the profile's file."""

    warehouse: Place | None = None
    free_mb: Count = 200  # a night does not start with less room, and three times what the last one's tables take


class Runtime(Table):
    """How Airflow launches Spark jobs (read by dags/launch.py) and what Spark is started with."""

    spark: Literal["venv", "spark-submit"] = "venv"
    spark_submit: list[str] = []
    spark_conf: dict[str, str] = {}


def _rules(given: Any) -> Any:
    """By TABLE.RULE; TOML reads `rankings.overlap = "warn"` as a table in a table."""
    if not isinstance(given, dict):
        return given
    tables = {name: each if isinstance(each, dict) else {"": each} for name, each in given.items()}
    flat = {f"{name}.{rule}".removesuffix("."): each for name, rules in tables.items() for rule, each in rules.items()}
    if unknown := sorted(flat.keys() - RULES.keys()):
        raise ValueError(f"unknown rule {', '.join(unknown)}; allowed: {', '.join(sorted(RULES))}")
    return flat


class Gates(Table):
    """Limits a night must keep to; from min_coverage on they are against the last release (jobs/publish/drift.py)."""

    max_rejected_share: Share = 0.5
    max_template_share: Share = 1.0
    max_failed_share: Share = 0.5  # of new calls, without a usable answer
    min_grounding: Share = 0.995  # of sentences, all of whose claims and names resolve to what is published ...
    audited_users: Count = 500  # ... in a sample of so many users, the same every night
    min_coverage: Share = 0.95  # of the last release's users are still there
    min_overlap: Share = 0.3  # of lists with those before, the mean over users
    max_psi: Annotated[float, Field(ge=0)] = 0.25  # of scores, and of the lengths of texts
    max_template_share_rise: Share = 0.2
    max_rejected_share_rise: Share = 0.05
    max_tokens_ratio: Annotated[float, Field(gt=0)] = 3.0  # of tokens a user to those of the last nights
    min_users: Count = 30  # made in a night, to judge what they cost and how many templates they got
    severity: Annotated[
        dict[str, Severity], BeforeValidator(_rules)
    ] = {}  # by TABLE.RULE, where not as in jobs/publish/rules.py

    def severity_of(self, rule: str) -> Severity:
        """Whether a rule blocks or warns."""
        return self.severity.get(rule, RULES[rule])


class Retention(Table):
    """What `maintain` keeps."""

    nights: Count = 30  # newest ones whose releases stay readable, and releases published in as many days
    work_nights: Count = 7  # newest ones whose contexts stay, for `prompt render`; likewise evaluations
    log_days: Count = 90  # of pages and logs of runs that no kept release came from
    orphan_hours: Annotated[float, Field(ge=0)] = 48.0  # without a write, until what nobody names goes: longer than any night


class Content(Table):
    """What a profile's file may hold."""

    events: Events
    items: Items
    model: Model
    night: Night = Night()
    words: Words = Words()
    storage: Storage = Storage()
    runtime: Runtime = Runtime()
    gates: Gates = Gates()
    retention: Retention = Retention()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def tries_fit(self) -> Self:
        endpoint, stall = self.model.endpoint, self.night.stall_seconds
        if endpoint and endpoint.timeout_seconds * (endpoint.retries + 1) >= stall:
            tries = f"{endpoint.retries + 1} tries of {endpoint.timeout_seconds:g} s"
            raise ValueError(f"model.endpoint: {tries} do not fit into night.stall_seconds {stall:g}")
        return self


class Profile(Content):
    """A whole profile. `file` is where it was read from, `name` that file's stem."""

    name: Name
    file: Name

    @property
    def warehouse(self) -> str:
        """Folder or URI that holds one Delta table a name."""
        return resolve(self.storage.warehouse) if self.storage.warehouse else str(home() / "warehouse" / self.name)

    def table(self, name: str) -> str:
        """Where the Delta table `name` lives."""
        return f"{self.warehouse}/{name}"

    def work(self, run_date: str) -> str:
        """Folder of a night's Parquet files between the stages; one a date, so that any retry finds paid answers."""
        return f"{self.warehouse}/_work/{run_date}"

    def evaluation_work(self, run_date: str) -> str:
        """Folder of an evaluation's files between its stages."""
        return f"{self.warehouse}/_evaluation/{run_date}"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the settings that change what a user gets: mapping, model and night; no paths, no sizes of work."""
        settings = {
            "events": self.events.model_dump(exclude={"path", "format"}),
            "items": self.items.model_dump(exclude={"path", "format"}),
            "model": [self.model.identity, self.model.max_model_len, self.model.engine, self.model.options],
            "night": self.night.model_dump(exclude={*SIZES, *REFRESHING}),
            "words": self.words.model_dump(exclude={"phrasings"}),
            "phrasings": self.words.reviewed,
        }
        return hashlib.sha256(repr(settings).encode()).hexdigest()


def resolve(path: str, base: Path = REPOSITORY) -> str:
    """A path of a profile: `~` and variables expanded, then relative to `base`; URIs, and unknown variables, as they are."""
    if path.startswith(REMOTE):
        return path
    expanded = Template(os.path.expanduser(path)).safe_substitute(os.environ | {"NOCTURNE_HOME": str(home())})
    return str((base / expanded).resolve()) if "$" not in expanded else expanded


def profile_path(path: str | Path | None) -> Path:
    """The file that is meant: `path`, else NOCTURNE_PROFILE, else the demo's; from here or from the repository."""
    file = Path(path or os.environ.get("NOCTURNE_PROFILE") or DEFAULT_PROFILE)
    return file if file.is_file() or file.is_absolute() else REPOSITORY / file


def load_profile(path: str | Path | None = None) -> Profile:
    """Read a profile; by default NOCTURNE_PROFILE, then the demo's.

    Raises:
        ProfileError: the file is missing, is not TOML, or holds keys or values that are not allowed (all are named).
    """
    file = profile_path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"profile {file}: {error.strerror or error}; give --profile FILE or NOCTURNE_PROFILE") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {file}: not TOML: {error}") from error
    try:
        return Profile(name=file.stem, file=str(file.resolve()), **dict(Content.model_validate(content)))
    except ValidationError as error:
        raise ProfileError("\n".join([f"profile {file}:", *map(_explain, error.errors())])) from error


def _explain(error: Any) -> str:
    """One problem as `key: what (got value); allowed: …`."""
    key = ".".join(map(str, error["loc"])) or "profile"
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields(error["loc"][:-1])))
        return f"  {key}: unknown key (value {error['input']!r}); allowed: {allowed}"
    if error["type"] == "missing":
        return f"  {key}: missing; it has no default"
    return f"  {key}: {error['msg'].removeprefix('Value error, ')} (got {error['input']!r})"


def _fields(loc: tuple[Any, ...]) -> set[str]:
    model: Any = Content
    for part in loc:
        model = model.model_fields[part].annotation
    return set(model.model_fields)
