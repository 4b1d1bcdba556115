"""Profiles: what is refused and how it is said, what is derived."""

import os

import pytest

from jobs.errors import ProfileError
from jobs.home import REPOSITORY
from jobs.profile import load_profile, resolve
from tests.data.inputs import EVENTS, ITEMS, profile, write_profile

LOG = EVENTS | {"path": "events.csv"}
CATALOGUE = ITEMS | {"path": "items.csv"}
MODEL = {"name": "m"}


def message(file) -> str:
    with pytest.raises(ProfileError) as caught:
        load_profile(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tables", "parts"),
    [
        # unknown keys: key, value and what is allowed
        ({"events": {"users": "u"}}, ["events.users: unknown key (value 'u')", "allowed:", "time_unit", "user,"]),
        ({"items": {"name": "n"}}, ["items.name: unknown key (value 'n')", "tags_separator"]),
        ({"model": MODEL | {"temperature": 1}}, ["model.temperature: unknown key (value 1)", "max_model_len"]),
        ({"night": {"lenght": 3}}, ["night.lenght: unknown key (value 3)", "list_length"]),
        ({"storage": {"path": "x"}}, ["storage.path: unknown key (value 'x')", "allowed: free_mb, warehouse"]),
        ({"runtime": {"java": "x"}}, ["runtime.java: unknown key (value 'x')", "spark_conf"]),
        ({"gates": {"rejected": 1}}, ["gates.rejected: unknown key (value 1)", "max_rejected_share"]),
        (
            {"gates": {"severity": {"rankings.overlapp": "warn"}}},
            ["gates.severity: unknown rule rankings.overlapp; allowed: evidence."],
        ),
        ({"gates": {"severity": {"rankings": {"score": "warn"}}}}, ["unknown rule rankings.score;", "rankings.overlap,"]),
        (
            {"gates": {"severity": {"rankings.overlap": "mild"}}},
            ["gates.severity.rankings.overlap", "'block' or 'warn'", "'mild'"],
        ),
        ({"gates": {"severity": "warn"}}, ["gates.severity: ", "dictionary", "'warn'"]),
        ({"gates": {"min_coverage": 95.0}}, ["gates.min_coverage", "less than or equal to 1", "95.0"]),
        ({"gates": {"max_tokens_ratio": 0.0}}, ["gates.max_tokens_ratio", "greater than 0", "0.0"]),
        ({"nigth": {"shards": 3}}, ["nigth: unknown key (value {'shards': 3})", "events, gates, items, model, night"]),
        # missing keys
        ({"events": {"user": None}}, ["events.user: missing"]),
        ({"items": {"title": None}}, ["items.title: missing"]),
        # wrong types
        ({"night": {"shards": "4"}}, ["night.shards", "integer", "'4'"]),
        ({"night": {"shards": True}}, ["night.shards", "integer", "True"]),
        ({"night": {"candidates": 20.5}}, ["night.candidates", "integer", "20.5"]),
        ({"events": {"user": ["u"]}}, ["events.user", "string", "['u']"]),
        ({"items": {"text": "blurb"}}, ["items.text", "list", "'blurb'"]),
        ({"runtime": {"spark_conf": {"a": 1}}}, ["runtime.spark_conf.a", "string", "1"]),
        # impossible values
        ({"events": {"format": "xml"}}, ["events.format", "'csv', 'json', 'parquet' or 'delta'", "'xml'"]),
        ({"events": {"time_unit": "us"}}, ["events.time_unit", "'s', 'ms' or 'iso'", "'us'"]),
        ({"events": {"user": ""}}, ["events.user", "at least 1 character", "''"]),
        ({"events": {"path": "s3://b/x"}}, ["events.path", "s3a://, gs://, abfss://", "'s3://b/x'"]),
        ({"storage": {"warehouse": "hdfs://b"}}, ["storage.warehouse", "s3a://, gs://, abfss://", "'hdfs://b'"]),
        ({"night": {"shards": 0}}, ["night.shards", "greater than or equal to 1", "0"]),
        ({"night": {"most_per_creator": 0}}, ["night.most_per_creator", "greater than or equal to 1", "0"]),
        ({"night": {"candidates": 1001}}, ["night.candidates", "less than or equal to 1000", "1001"]),
        ({"night": {"experiment_holdout": 1.5}}, ["night.experiment_holdout", "less than or equal to 1", "1.5"]),
        ({"night": {"experiment_holdout": float("nan")}}, ["night.experiment_holdout", "nan"]),
        ({"night": {"model_weight": float("inf")}}, ["night.model_weight", "finite", "inf"]),
        ({"night": {"list_length": 30}}, ["night: list_length 30 is more than candidates 20"]),
        ({"model": {"name": "m", "path": "p"}}, ["model: exactly one of path and name is needed"]),
        ({"model": {"engine": "fake"}}, ["model: exactly one of path and name is needed"]),
        ({"model": MODEL | {"max_model_len": 100}}, ["model.max_model_len", "256", "100"]),
        ({"words": {"language": "fr"}}, ["words.language", "a language of prompts/templates is needed: de, en", "'fr'"]),
        ({"words": {"tone": "rude"}}, ["words: tone 'rude' is none of language 'en'; allowed: plain, warm"]),
        ({"words": {"tone": ""}}, ["words.tone", "at least 1 character", "''"]),
        (
            {"words": {"language": "de", "summary": "phrasebook"}},
            [
                "words: summary = 'phrasebook', explanation = 'personal'",
                "English grammar",
                "'de'",
                "'template', or language = 'en'",
            ],
        ),
        ({"words": {"language": "de", "summary": "template"}}, ["words: explanation = 'personal': the checks"]),
        ({"model": MODEL | {"engine": "llama"}}, ["model.engine", "'vllm', 'openai' or 'fake'", "'llama'"]),
    ],
)
def test_a_bad_key_is_named_with_its_value_and_what_is_allowed(tmp_path, tables, parts):
    text = message(write_profile(tmp_path, **tables))
    assert all(part in text for part in parts), text


def test_all_tries_of_an_endpoint_fit_into_what_the_watchdog_waits(tmp_path):
    model = {"name": "org/model", "engine": "openai", "endpoint": {"url": "http://localhost/v1", "timeout_seconds": 100.0}}
    assert "7 tries of 100 s do not fit into night.stall_seconds 600" in message(write_profile(tmp_path, model=model))
    assert profile(tmp_path, model=model, night={"stall_seconds": 701.0}).model.endpoint


@pytest.mark.parametrize("key", ["name", "file"])
def test_what_is_derived_from_the_file_cannot_be_set(tmp_path, key):
    file = write_profile(tmp_path)
    file.write_text(f'{key} = "other"\n' + file.read_text())
    assert f"{key}: unknown key (value 'other')" in message(file)


def test_a_whole_table_can_be_missing(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    lines = message(tmp_path / "empty.toml").splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["events", "items", "model"]


def test_all_differences_are_named_at_once(tmp_path):
    events = {"format": "xml", "user": None, "extra": 1}
    text = message(write_profile(tmp_path, events=events, night={"shards": 0}, nigth={}, model={}))
    keys = {line.split(":")[0].strip() for line in text.splitlines()[1:]}
    assert keys == {"events.format", "events.user", "events.extra", "night.shards", "nigth", "model"}


@pytest.mark.parametrize(
    ("content", "part"), [(b"[events\n", "not TOML"), (b"a = 1\na = 2\n", "not TOML"), (b"\xff = 1\n", "not TOML")]
)
def test_a_file_that_is_no_toml(tmp_path, content, part):
    file = tmp_path / "p.toml"
    file.write_bytes(content)
    assert part in message(file) and str(file) in message(file)


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    text = message(tmp_path / name)
    assert str(tmp_path) in text and "--profile FILE or NOCTURNE_PROFILE" in text


@pytest.mark.parametrize("name", ["demo", "cluster"])
def test_the_shipped_profiles_load(name):
    assert load_profile(f"infra/profiles/{name}.toml").name == name


def test_the_profile_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCTURNE_PROFILE", str(write_profile(tmp_path)))
    assert load_profile().name == "profile"
    monkeypatch.delenv("NOCTURNE_PROFILE")
    assert load_profile().name == "demo"


def test_two_profiles_never_share_a_warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "home"))
    file = write_profile(tmp_path, storage={})
    other = file.rename(tmp_path / "shop.toml")
    write_profile(tmp_path, storage={})
    assert load_profile(file).warehouse == str(tmp_path / "home/warehouse/profile")
    assert load_profile(other).table("runs") == str(tmp_path / "home/warehouse/shop/runs")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$NOCTURNE_HOME/data/x.csv", "/h/data/x.csv"),
        ("${NOCTURNE_HOME}/data/x.csv", "/h/data/x.csv"),
        ("$NOCTURNE_HOMES/x", "/others/x"),
        ("$PLACE/x.csv", "/place/x.csv"),
        ("$UNKNOWN/x.csv", "$UNKNOWN/x.csv"),  # read as it stands: the error names it
        ("~/x.csv", "/somebody/x.csv"),
        ("data/x.csv", f"{REPOSITORY}/data/x.csv"),
        ("/abs/x.csv", "/abs/x.csv"),
        ("/abs/sub/../x.csv", "/abs/x.csv"),
        ("s3a://bucket/a//b/", "s3a://bucket/a//b/"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("abfss://c@a.dfs.core.windows.net/x", "abfss://c@a.dfs.core.windows.net/x"),
    ],
)
def test_paths(monkeypatch, path, expected):
    home = {"NOCTURNE_HOME": "/h", "NOCTURNE_HOMES": "/others", "PLACE": "/place", "HOME": "/somebody"}
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UNKNOWN", raising=False)
    assert resolve(path) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"path": "models/m"}, "/h/models/m"),
        ({"path": "$NOCTURNE_HOME/models/m"}, "/h/models/m"),
        ({"path": "~/m"}, "/somebody/m"),
        ({"path": "/abs/m"}, "/abs/m"),
        ({"name": "org/m"}, "org/m"),
    ],
)
def test_where_the_model_is(tmp_path, monkeypatch, model, expected):
    monkeypatch.setenv("NOCTURNE_HOME", "/h")
    monkeypatch.setenv("HOME", "/somebody")
    assert profile(tmp_path, model=model).model.location == expected


@pytest.mark.parametrize(
    ("tables", "same"),
    [
        ({}, True),
        ({"night": {"shards": 7}}, True),
        ({"night": {"stall_seconds": 7.0, "budget": {"calls": 7}, "chunk_users": 7, "chunk_seconds": 7.0}}, True),
        ({"events": {"path": "elsewhere.csv"}}, True),
        ({"events": {"format": "json"}}, True),
        ({"storage": {"warehouse": "elsewhere"}}, True),
        ({"gates": {"max_rejected_share": 0.1}}, True),
        ({"runtime": {"spark_conf": {"a": "b"}}}, True),
        ({"night": {"list_length": 7}}, False),
        ({"night": {"history_length": 7}}, False),
        ({"night": {"candidates": 17}}, False),
        ({"night": {"repeat": "always"}}, False),
        ({"night": {"most_per_creator": 1}}, False),
        ({"night": {"experiment_holdout": 0.5}}, False),
        ({"events": {"positive": "value > 3"}}, False),
        ({"events": {"time_unit": "s"}}, False),
        ({"items": {"tags": "genres"}}, False),
        ({"words": {"language": "de", "summary": "template", "explanation": "template"}}, False),
        ({"words": {"tone": "warm"}}, False),
        ({"items": {"creators": "directors"}}, False),
        ({"items": {"text": ["blurb"]}}, False),
        ({"model": {"name": "other"}}, False),
        ({"model": {"name": "none", "engine": "fake", "revision": "2"}}, False),
        ({"model": {"name": "none"}}, False),
        ({"night": {"refresh_days": 0, "refresh_overlap": 0.5, "refresh_exact": True}}, True),
    ],
)
def test_the_fingerprint_changes_with_what_a_user_gets(tmp_path, tables, same):
    changed = profile(tmp_path, **tables).fingerprint
    assert (changed == profile(tmp_path).fingerprint) is same


def test_the_fingerprint_does_not_depend_on_the_machine(tmp_path, monkeypatch):
    file = write_profile(tmp_path)
    here = load_profile(file).fingerprint
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    assert load_profile(os.path.relpath(file)).fingerprint == here


def test_each_language_has_a_way_to_be_said(tmp_path):
    for language, tone in (("en", "warm"), ("de", "plain"), ("de", "warm")):
        words = {"language": language, "tone": tone, "summary": "template", "explanation": "template"}
        assert profile(tmp_path, words=words).words.language == language


@pytest.mark.parametrize(("given", "weight"), [("measured", 0.0), (1, 1.0), (0.25, 0.25)])
def test_a_weight_is_a_number_or_measured(tmp_path, given, weight):
    assert profile(tmp_path, night={"model_weight": given}).night.fused_weight == weight


@pytest.mark.parametrize("line", ['rankings.overlap = "warn"', '"rankings.overlap" = "warn"'])
def test_a_rule_is_named_as_its_verdict_is(tmp_path, line):
    file = write_profile(tmp_path)
    file.write_text(f"{file.read_text()}\n[gates.severity]\n{line}\n")
    gates = load_profile(file).gates
    assert (gates.severity_of("rankings.overlap"), gates.severity_of("user_summaries.coverage")) == ("warn", "block")
    assert gates.severity_of("rankings.score_psi") == "warn"


@pytest.mark.parametrize("given", ["auto", -0.5, True])
def test_another_weight_is_an_error(tmp_path, given):
    assert "night.model_weight" in message(write_profile(tmp_path, night={"model_weight": given}))
