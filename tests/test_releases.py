"""What is public, by one row a change: which release readers see, going back, and who wins a race."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import releases as module
from jobs.errors import InputError, NotFound
from jobs.lake import connect, session, views
from jobs.profile import Profile, load_profile
from jobs.releases import Release, accept, find, go_back, latest, publish, releases
from jobs.runs import find_run, put_run
from tests.data.inputs import profile as write
from tests.publish.nights import NEXT, NIGHT, STARTED, made
from tests.publish.nights import release as write_release

LATER = STARTED + timedelta(days=9)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return write(tmp_path)


@pytest.fixture
def public(profile) -> Callable[..., Release]:
    """Make a release public that names no table that is there."""
    return lambda night, name, **more: publish(
        profile, Release(name, night, f"run of {name}", "released", {"rankings": 3}, {"rankings": "1:a"}, STARTED), **more
    )


def last_row(profile: Profile) -> str:
    """What readers who know SQL alone take for the latest release."""
    db = session()
    views(db, profile, None)
    ((name,),) = db.sql("select latest from releases order by sequence desc limit 1").fetchall()
    return str(name)


def test_releases_come_back_newest_night_first(profile, public) -> None:
    assert (releases(profile), latest(profile)) == ([], None)
    old, following, again = public(NIGHT, "old"), public(NEXT, "next"), public(NIGHT, "again")
    assert releases(profile) == [following, again, old]
    assert [each.sequence for each in (old, following, again)] == [1, 2, 3]
    assert latest(profile) == find(profile, None) == following
    assert latest(profile, until=NIGHT) == again
    assert latest(profile, until=NIGHT - timedelta(days=1)) is None
    assert find(profile, "old") == old
    with pytest.raises(NotFound, match=r"no release 'other' in .*; the newest are next, again, old"):
        find(profile, "other")


SEEN = {
    # what happens one after the other: what readers see at the end, what the night after NIGHT goes on from
    "an older night late": ("NEXT b, NIGHT a", "b", "b"),
    "a night again": ("NIGHT a, NIGHT b", "b", "b"),
    "back": ("NIGHT a, NEXT b, back a", "a~3", "a~3"),
    "back, and forth again": ("NIGHT a, NEXT b, back a, back b", "b~4", "b~4"),
    "back where readers are": ("NIGHT a, back a", "a", "a"),
    "back to what readers came back to": ("NIGHT a, NEXT b, back a, back a", "a~3", "a~3"),
    "back by the row of going back": ("NIGHT a, NEXT b, back a, back b, back a~3", "a~5", "a~5"),
    "back, then the night mended": ("NIGHT a, NEXT b, back a, NEXT c", "c", "c"),
    "back, then an older one late": ("NIGHT a, NEXT b, back a, BEFORE c", "a~3", "a~3"),
    "back beyond a later night": ("NIGHT a, NEXT b, LATER c, back a", "a~4", "a~4"),
    "back from a later night": ("NIGHT a, NEXT b, LATER c, back b", "b~4", "b~4"),
}
NIGHTS = {"BEFORE": NIGHT - timedelta(days=1), "NIGHT": NIGHT, "NEXT": NEXT, "LATER": NEXT + timedelta(days=5)}


@pytest.mark.parametrize("case", SEEN)
def test_what_readers_see(profile, public, case: str) -> None:
    steps, seen, goes_on_from = SEEN[case]
    for step in steps.split(", "):
        what, name = step.split()
        go_back(profile, name, LATER, "a reason") if what == "back" else public(NIGHTS[what], name)
        newest = latest(profile)
        assert newest and newest.release_id == last_row(profile)
    assert last_row(profile) == seen
    before = latest(profile, until=NEXT)
    assert before and before.release_id == goes_on_from
    assert all(each.reason == "a reason" for each in releases(profile) if each.status == "rollback")


def test_readers_see_the_tables_they_went_back_to(profile) -> None:
    first = write_release(profile, [made("a")])
    write_release(profile, [made("a", "Likes loud films, which is new."), made("b")], NEXT, "run-2")
    back, new = go_back(profile, first.release_id, LATER)
    assert new and (back.tables, back.run_date, back.run_id) == (first.tables, NIGHT, "run-1")
    words = "select run_date, user_id, summary from user_summaries"
    assert connect(profile).sql(words).fetchall() == [(NIGHT, "a", "Likes quiet films of every age.")]


def test_of_two_runs_of_a_night_the_second_says_so(profile, public) -> None:
    first = public(NIGHT, "first", known=0)
    with pytest.raises(InputError, match=r"run run of first has released 2024-05-01 meanwhile \(first\); its release stays"):
        public(NIGHT, "second", known=0)
    other = public(NEXT, "third", known=0)
    assert releases(profile) == [other, first]
    assert public(NIGHT, "fourth", known=2).sequence == 3


def race(file: str, worker: int, barrier) -> None:
    profile = load_profile(file)
    barrier.wait()
    nights = [NIGHT, NEXT + timedelta(days=worker)]
    for night in nights:
        try:
            publish(profile, Release(f"{night} {worker}", night, f"run {worker}", "released", {}, {}, STARTED), known=0)
        except InputError:
            assert night == NIGHT


def test_processes_that_release_at_once(profile) -> None:
    """Of one night one wins, each other night is there, and every row counts those before it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [context.Process(target=race, args=(profile.file, k, barrier)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    public = releases(profile)
    assert sorted(each.sequence for each in public) == [1, 2, 3, 4]
    assert len([each for each in public if each.run_date == NIGHT]) == 1
    assert last_row(profile) == public[0].release_id == f"{NEXT + timedelta(days=2)} 2"


def block(profile: Profile, name: str, hours: int) -> None:
    tables = {"tables": [("rankings", 3)], "digests": [("rankings", "1:a")], "ended_at": LATER}
    put_run(profile, name, NIGHT, STARTED + timedelta(hours=hours), "blocked", **tables)


def test_a_blocked_run_is_let_pass_with_a_reason(profile) -> None:
    block(profile, "run-1", 0)
    block(profile, "run-2", 1)
    assert (find(profile, "run-1").status, find(profile, "run-1").tables) == ("blocked", {"rankings": 3})
    with pytest.raises(NotFound, match="no blocked run run-7"):
        accept(profile, "run-7", LATER, "because")
    with pytest.raises(InputError, match="run-1 was never public"):
        put_run(profile, "run-0", NIGHT, STARTED, "running")
        publish(profile, Release("r-run-0", NIGHT, "run-0", "released", {}, {}, STARTED))
        go_back(profile, "run-1", LATER)

    new = accept(profile, None, LATER, "because")
    assert (new.release_id, new.status, new.reason, new.sequence) == ("r-run-2", "accepted", "because", 2)
    assert latest(profile) == new
    row = find_run(profile, "run-2")
    assert row and (row["status"], row["release_id"], dict(row["tables"])) == ("published", "r-run-2", {"rankings": 3})
    with pytest.raises(InputError, match=r"run run-2 has released 2024-05-01 meanwhile \(r-run-2\)"):
        accept(profile, "run-1", LATER, "late")
    assert latest(profile) == new


def test_who_began_before_a_blocked_run_and_released_after_it_is_a_rival_too(profile, public) -> None:
    put_run(profile, "run of slow", NIGHT, STARTED - timedelta(hours=2), "running")
    block(profile, "run-1", -1)
    public(NIGHT, "slow")
    with pytest.raises(InputError, match=r"run run of slow has released 2024-05-01 meanwhile \(slow\)"):
        accept(profile, "run-1", LATER, "late")


def test_letting_a_run_pass_goes_on_where_it_was_interrupted(profile, monkeypatch) -> None:
    block(profile, "run-1", 0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "put_rows", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        accept(profile, None, LATER, "because")
    first = latest(profile)
    assert accept(profile, None, LATER, "because") == first
    row = find_run(profile, "run-1")
    assert row and (row["status"], row["release_id"]) == ("published", "r-run-1")
    assert releases(profile) == [first]


def test_no_two_rows_share_an_id(profile, public, monkeypatch) -> None:
    """Two go back at once; a run that was released is cleared, blocked and let pass."""
    public(NIGHT, "r-run-1")
    public(NEXT, "next")
    real, other = module.publish, []

    def late(*given, **more):
        if not other:
            other.append(True)
            go_back(profile, "r-run-1", LATER)
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, "publish", late)
        go_back(profile, "r-run-1", LATER)
    block(profile, "run-1", 1)
    accept(profile, "run-1", LATER, "because")
    assert [each.release_id for each in releases(profile)] == ["next", "r-run-1-5", "r-run-1~4", "r-run-1~3", "r-run-1"]
    assert last_row(profile) == "r-run-1-5"
