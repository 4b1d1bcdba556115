"""Real nights, end to end, as a user starts them: Airflow, Spark, the model, Great Expectations, Delta."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

from jobs.contracts import PUBLISHED
from jobs.home import REPOSITORY, home
from jobs.lake import connect
from jobs.profile import Profile, load_profile
from jobs.releases import releases
from jobs.storage import read_rows
from jobs.weights import model_digest
from tests.data.shop import write_shop

USERS = ["15", "30", "73", "547"]
N_ITEMS = 9066


def nocturne(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with a profile, as a person types it."""
    command = [str(REPOSITORY / "infra" / "nocturne"), "--profile", str(profile), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500)


def content(profile: Profile, table: str, release: str | None = None) -> list[str]:
    """A released table's rows but for the night, as sorted text."""
    rows = connect(profile, release).sql(f"select * exclude (run_date) from {table}").fetchall()
    return sorted(json.dumps(row, default=str) for row in rows)


def last_run(profile: Profile) -> dict:
    return max(read_rows(profile, "runs"), key=lambda row: row["started_at"])


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """The demo's profile over a fifth of its log, with a warehouse of its own; and a file with four users."""
    folder = tmp_path_factory.mktemp("sample")
    header, *lines = (home() / "data" / "movielens" / "events.csv").read_text().splitlines(keepends=True)
    users = {line: line.split(",")[0] for line in lines}
    kept = [line for line in lines if users[line] in USERS or int(users[line]) % 5 == 0]
    (folder / "events.csv").write_text("".join([header, *kept]))
    demo = (REPOSITORY / "infra" / "profiles" / "demo.toml").read_text()
    demo = demo.replace("$NOCTURNE_HOME/data/movielens/events.csv", str(folder / "events.csv"))
    demo = demo.replace('summary = "phrasebook"', 'summary = "personal"')
    demo = demo.replace("scored = 20", "scored = 5\nmodel_weight = 0.3")
    small = "[evaluation]\nusers = 40\ngroups = 2\nscored_users = 20\n"
    (folder / "night.toml").write_text(demo + f'\n[storage]\nwarehouse = "{folder}/warehouse"\n{small}')
    (folder / "users.txt").write_text("\n".join([*USERS, "nobody"]))
    return folder


@pytest.fixture(scope="module")
def first_night(sample: Path) -> subprocess.CompletedProcess[str]:
    return nocturne(sample / "night.toml", "run", "--date", "2016-10-17", "--users", str(sample / "users.txt"), "--show", "1")


def test_the_first_night(sample: Path, first_night):
    assert first_night.returncode == 0, first_night.stdout[-3000:]
    profile = load_profile(sample / "night.toml")
    run = last_run(profile)
    assert (run["status"], run["users"], run["users_changed"]) == ("published", 4, 4)
    n_events = len((sample / "events.csv").read_text().splitlines()) - 1
    assert run["rows_in"] == n_events + N_ITEMS
    assert 5 <= run["rows_rejected"] <= 12
    assert run["calls_new"] > 50
    assert (run["calls_failed"], run["calls_refused"]) == (0, 0)
    predicted = dict(run["predicted"])
    assert predicted["calls"] == pytest.approx(run["calls_new"], rel=0.1), "of four users all are rehearsed"
    assert predicted["prompt_tokens"] == pytest.approx(run["prompt_tokens"], rel=0.1)
    assert dict(run["stage_seconds"]).keys() == {"prepare", "generate", "publish", "workers"}
    for word in ("prepare", "generate", "publish", "published", "rules hold", run["release_id"]):
        assert word in first_night.stdout


def test_everyone_has_everything(sample: Path, first_night):
    db = connect(load_profile(sample / "night.toml"))
    assert sorted(db.sql("select user_id from user_summaries").fetchall()) == sorted((user,) for user in USERS)
    lists = db.sql("select user_id, list(rank order by rank) from rankings group by user_id").fetchall()
    assert lists
    assert all(ranks == list(range(1, 11)) for _, ranks in lists)
    assert db.sql("select count(*) from explanations where explanation = ''").fetchall() == [(0,)]
    assert db.sql("select count(*) from explanations").fetchall() == [(40,)]
    assert db.sql("select distinct source from rankings").fetchall() == [("fused",)]
    assert 10 <= len(db.sql("select * from rankings where llm_score is not null").fetchall()) <= 20


def test_the_model_wrote_some_of_it(sample: Path, first_night):
    """The model's words are published as it wrote them, names filled in where it wrote a phrasing; the row names the call."""
    profile = load_profile(sample / "night.toml")
    told = """select t.words, t.source, g.output, g.model from
        (select generation_id, source, summary as words from user_summaries union all
         select generation_id, source, explanation from explanations) t join generations g using (generation_id)"""
    rows = connect(profile).sql(told).fetchall()
    assert {source for _, source, *_ in rows} >= {"phrasebook"}
    for words, source, output, _ in rows:
        if source == "llm":
            assert " ".join(json.loads(output)["text"].split()) == words
        else:  # with a last sentence of ours behind it
            assert re.fullmatch(re.sub(r"\\\{[A-Z]\\\}", ".+", re.escape(output)) + r"( [A-Z].+)?", words), output
    assert {model for *_, model in rows} == {model_digest(profile.model)}


def test_nothing_recommended_was_consumed(sample: Path, first_night):
    with (sample / "events.csv").open() as file:
        consumed = {(row["user_id"], row["item_id"]) for row in csv.DictReader(file)}
    ranked = connect(load_profile(sample / "night.toml")).sql("select user_id, item_id from rankings").fetchall()
    assert not consumed & set(ranked)


def test_great_expectations_wrote_its_pages(sample: Path, first_night):
    run = last_run(load_profile(sample / "night.toml"))
    page = home() / "docs" / "night" / run["run_id"] / "index.html"
    assert "user_summaries" in page.read_text()
    assert str(page.with_name("night.html")) in first_night.stdout
    assert "rules hold" in page.with_name("night.html").read_text()


def test_the_same_night_again_costs_and_changes_nothing(sample: Path, first_night):
    profile = load_profile(sample / "night.toml")
    before = {table: content(profile, table) for table in PUBLISHED}
    again = nocturne(sample / "night.toml", "run", "--date", "2016-10-17", "--users", str(sample / "users.txt"))
    assert again.returncode == 0, again.stdout[-3000:]
    run = last_run(profile)
    assert (run["status"], run["calls_new"], run["users_changed"]) == ("unchanged", 0, 0)
    assert {table: content(profile, table) for table in PUBLISHED} == before
    assert len(releases(profile)) == 1


def test_forced_it_pays_again(sample: Path, first_night):
    profile = load_profile(sample / "night.toml")
    paid = max(row["calls_new"] or 0 for row in read_rows(profile, "runs"))
    forced = nocturne(sample / "night.toml", "run", "--date", "2016-10-17", "--users", str(sample / "users.txt"), "--force")
    assert forced.returncode == 0, forced.stdout[-3000:]
    run = last_run(profile)
    assert (run["users_changed"], run["calls_new"]) == (4, paid)
    assert run["status"] in ("published", "unchanged"), "a batch of another make-up may round another way"


def test_the_next_night_pays_for_changed_users_only(sample: Path, first_night):
    profile = load_profile(sample / "night.toml")
    with (sample / "events.csv").open("a") as file:
        file.write("15,8874,4.5,1476709200\n")  # on 2016-10-17, 13:00 UTC
    following = nocturne(sample / "night.toml", "run", "--date", "2016-10-18", "--users", str(sample / "users.txt"))
    assert following.returncode == 0, following.stdout[-3000:]
    run = last_run(profile)
    assert (run["status"], run["users"], run["users_changed"]) == ("published", 4, 1)
    subjects = connect(profile).sql(
        f"select distinct subject from generations where run_id = '{run['run_id']}' and subject_type = 'user'"
    )
    assert subjects.fetchall() == [("15",)]
    second, first, *_ = (release.release_id for release in releases(profile))
    for table in ("user_summaries", "rankings", "explanations", "evidence"):
        kept = [row for row in content(profile, table, second) if not row.startswith('["15"')]
        assert kept == [row for row in content(profile, table, first) if not row.startswith('["15"')]


def test_a_night_before_all_events_publishes_nothing(tmp_path: Path):
    file = write_shop(tmp_path)
    done = nocturne(file, "run", "--date", "2001-01-01")
    assert done.returncode == 1
    assert "on or after 2001-01-01; nothing was published" in done.stdout
    profile = load_profile(file)
    assert releases(profile) == []
    assert last_run(profile)["status"] == "failed"


def test_an_evaluation(sample: Path) -> None:
    """Through Airflow, with the real model, on 40 users; a second one does not disturb the first."""
    done = nocturne(sample / "night.toml", "evaluate", "--date", "2016-10-17")
    assert done.returncode == 0, done.stdout[-3000:]
    profile = load_profile(sample / "night.toml")
    rows = read_rows(profile, "evaluations")
    assert {row["split"] for row in rows} >= {"leave_one_out", "temporal", "model"}
    weights = {row["method"]: row for row in rows if row["metric"] == "weight"}
    assert weights.keys() == {"ours+likelihood", "ours+labels"}
    for row in weights.values():
        settings = json.loads(row["settings"])
        assert settings["model"] == model_digest(profile.model)
        assert (row["value"] > 0) == (settings["low"] > 0)
    (run_id,) = {row["run_id"] for row in rows if row["split"] != "words"}
    picture = home() / "docs" / profile.name / f"evaluation-{run_id}.svg"
    assert "ours+likelihood" in picture.read_text()
    for word in ("leave_one_out, ", "ours+likelihood", "order_agreement", "knows_id", "summary - stranger: nats"):
        assert word in done.stdout
    assert not list(Path(profile.evaluation_work("2016-10-17")).glob("*"))
