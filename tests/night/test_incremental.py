"""Nights one after another beside the same night made anew in an empty warehouse, and nights made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from jobs.profile import Profile, load_profile
from jobs.releases import find, releases
from tests.data import shop
from tests.data.inputs import toml
from tests.night.whole import own_home, published, whole_night

FIRST, SECOND, THIRD = "2024-03-02", "2024-03-03", "2024-03-04"
BACK = ["007", "Ann Lee", "李雷", "someone new"]  # who come back after the second night


def warehouse(folder: Path, start: Path | None = None, **night: object) -> Profile:
    """The shop of `folder` with a warehouse of its own, a copy of `start` if it is given, in which nobody's day comes."""
    content = shop.profile_of(folder.parent)
    content["night"] |= {"refresh_days": 0} | night
    content["storage"] = {"warehouse": str(folder / "warehouse")}
    folder.mkdir()
    if start:
        shutil.copytree(start / "warehouse", folder / "warehouse")
    (folder / "shop.toml").write_text(toml(content), encoding="utf-8")
    return load_profile(folder / "shop.toml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shops")
    shop.write_shop(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTURNE_HOME", own_home(folder / "home"))
        yield folder


@pytest.fixture(scope="module")
def quiet(spark, place: Path) -> tuple[Profile, Path, list[dict]]:
    """Two nights in order, nobody came back between them; a copy of the warehouse, and the rows of `runs`."""
    one = warehouse(place / "kept")
    runs = [whole_night(spark, one, FIRST, "first"), whole_night(spark, one, SECOND, "second")]
    shutil.copytree(place / "kept" / "warehouse", place / "start" / "warehouse")
    return one, place / "start", runs


@pytest.fixture(scope="module")
def busy(spark, place: Path, quiet) -> tuple[dict[str, Profile], dict[str, dict]]:
    """Some come back; the third night by each policy and in an empty warehouse."""
    log, draw = place / "events.jsonl", Random(3)
    at = datetime.fromisoformat(f"{SECOND}T06:00:00+00:00")
    news = [
        shop.line(f"new#{number}", user, draw.choice(list(shop.TOOLS)), "buy", (at + timedelta(minutes=number)).isoformat())
        for number, user in enumerate(BACK * 2)
    ]
    log.write_text(log.read_text() + "".join(f"{line}\n" for line in news))
    kinds = {
        "kept": quiet[0],
        "exact": warehouse(place / "exact", quiet[1], refresh_exact=True),
        "anew": warehouse(place / "anew"),
    }
    return kinds, {name: whole_night(spark, one, THIRD, f"third-{name}") for name, one in kinds.items()}


def theirs(tables: dict[str, list[str]], users: set[str]) -> dict[str, list[str]]:
    """The rows of some users."""
    return {name: [row for row in rows if json.loads(row)[1] in users] for name, rows in tables.items() if name != "rejected"}


def test_nobody_came_back(spark, quiet, place) -> None:
    one, _, (first, second) = quiet
    assert (first["users_changed"], second["users_changed"], second["calls_new"]) == (len(shop.CUSTOMERS), 0, 0)
    empty = warehouse(place / "second")
    anew = whole_night(spark, empty, SECOND, "another-name")
    assert anew["users_changed"] == len(shop.CUSTOMERS)
    assert published(empty) == published(one)
    assert releases(empty)[0].digests == releases(one)[0].digests


def test_who_came_back_has_what_all_anew_would_give(busy) -> None:
    kinds, runs = busy
    assert (runs["kept"]["users_changed"], runs["kept"]["users_refreshed"]) == (len(BACK), 0)
    kept, anew = published(kinds["kept"]), published(kinds["anew"])
    assert theirs(kept, set(BACK)) == theirs(anew, set(BACK))
    assert kept != anew, "the others' lists follow what everyone does"
    assert runs["kept"]["calls_new"] < runs["anew"]["calls_new"]


def test_exactly_everyone_has(busy) -> None:
    kinds, runs = busy
    assert published(kinds["exact"]) == published(kinds["anew"])
    assert runs["exact"]["users_changed"] == len(BACK) + runs["exact"]["users_refreshed"] > len(BACK)
    assert runs["exact"]["calls_new"] < runs["anew"]["calls_new"], "what was answered about refreshed users is not asked again"


def test_nights_made_again_after_newer_ones_are_what_they_were(spark, busy, quiet) -> None:
    one, *_ = quiet
    for night, run_id in ((SECOND, "second"), (FIRST, "first")):
        was = published(one, f"r-{run_id}")
        again = whole_night(spark, one, night, f"{run_id}-again")
        assert (again["status"], again["users_changed"], again["release_id"]) == ("unchanged", 0, f"r-{run_id}")
        assert published(one, f"r-{run_id}") == was
    assert find(one, None).run_date.isoformat() == THIRD


def test_an_earlier_night_made_anew_after_newer_ones_is_what_it_was(spark, busy, quiet) -> None:
    one, *_ = quiet
    was = published(one, "r-first")
    again = whole_night(spark, one, FIRST, "forced", force=True)
    assert (again["status"], again["users_changed"]) == ("unchanged", len(shop.CUSTOMERS))
    assert published(one, "r-first") == was
