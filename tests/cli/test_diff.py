"""`diff` over releases made by hand: counts by table, lists and words, users side by side; no JVM."""

from __future__ import annotations

import csv
import io
import json

import pytest

from jobs.diff import diff
from jobs.errors import NotFound
from jobs.releases import go_back, retire
from tests.publish.nights import NEXT, NIGHT, STARTED, made, release

HOSTILE = "\x1b[31m[red]Ünsafe[/red]\u202e\x9b2J"
TEN = tuple(f"i{k}" for k in range(1, 11))
OTHER = (*TEN[:5], *(f"j{k}" for k in range(5)))


@pytest.fixture
def nights(profile):
    """Of a, b, c, d: a is the same, b has other words, c half another list, d goes and e comes."""
    release(profile, [made("a", items=TEN), made("b"), made("c", items=TEN), made("d")], NIGHT, "run-1")
    new = [made("a", items=TEN), made("b", "Likes loud films."), made("c", items=OTHER), made("e")]
    release(profile, new, NEXT, "run-2")
    return profile


def figures(found) -> dict[str, tuple[int, ...]]:
    return {each.table: (each.rows_a, each.rows_b, each.added, each.removed, each.changed, each.same) for each in found.tables}


def test_figures_by_table(nights) -> None:
    found = diff(nights, "r-run-1", "r-run-2")
    assert figures(found) == {  # rows before and after; users added, removed, changed, same
        "user_summaries": (4, 4, 1, 1, 1, 2),
        "rankings": (24, 24, 1, 1, 1, 2),
        "explanations": (24, 24, 1, 1, 1, 2),
        "evidence": (4, 4, 1, 1, 0, 3),
        "rejected": (1, 1, 0, 0, 0, 1),
    }
    assert not found.equal
    assert found.overlap == pytest.approx((1 + 1 + 0.5) / 3)
    assert (found.same_lists, found.same_words) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert [user.user_id for user in found.users] == ["c", "b", "d"]
    changed = found.users[0]
    assert changed.overlap == 0.5
    assert [row["item_id"] for row in changed.before["rankings"]] == list(TEN)
    assert [row["item_id"] for row in changed.after["rankings"]] == list(OTHER)


NAMES = {
    "ids": ("r-run-1", "r-run-2"),
    "dates": ("2024-05-01", "2024-05-02"),
    "a date and the latest": ("2024-05-01", "latest"),
}


@pytest.mark.parametrize("names", NAMES)
def test_releases_by_id_date_or_latest(nights, names: str) -> None:
    found = diff(nights, *NAMES[names])
    assert (found.a.release_id, found.b.release_id) == ("r-run-1", "r-run-2")


def test_the_way_back_is_the_other_way_round(nights) -> None:
    there, back = (figures(diff(nights, *names)) for names in (("r-run-1", "r-run-2"), ("r-run-2", "r-run-1")))
    assert {
        name: (b, a, removed, added, changed, same) for name, (a, b, added, removed, changed, same) in there.items()
    } == back


def test_one_table_and_one_user(nights) -> None:
    assert list(figures(diff(nights, "r-run-1", "latest", table="rankings"))) == ["rankings"]
    found = diff(nights, "r-run-1", "latest", user="b")
    assert figures(found) == {
        "user_summaries": (1, 1, 0, 0, 1, 0),
        "rankings": (2, 2, 0, 0, 0, 1),
        "explanations": (2, 2, 0, 0, 0, 1),
        "evidence": (1, 1, 0, 0, 0, 1),
    }
    assert [user.user_id for user in found.users] == ["b"]
    (only,) = diff(nights, "r-run-1", "latest", table="evidence", user="d").users
    assert (len(only.before["evidence"]), only.after["evidence"]) == (1, [])


def test_equal_releases_say_so(nights, nocturne) -> None:
    release(nights, [made("b", "Likes loud films."), made("e"), made("c", items=OTHER), made("a", items=TEN)], NEXT, "run-3")
    assert diff(nights, "r-run-2", "r-run-3").equal
    go_back(nights, "r-run-1", STARTED)
    assert diff(nights, "r-run-1", "latest").equal
    for names in (("r-run-2", "r-run-3"), ("r-run-1", "latest"), ("r-run-2", "r-run-2")):
        code, said, _ = nocturne("diff", *names)
        assert code == 0
        assert "nothing differs: readers see the same from both" in said
        assert "user " not in said.split("nothing differs")[1]


def test_a_value_that_comes_or_goes_is_a_change(profile) -> None:
    for run, rank in (("run-1", None), ("run-2", -1.5)):
        row = made("a")
        row["rankings"][0]["llm_score"] = rank
        release(profile, [row], NIGHT, run)
    assert figures(diff(profile, "r-run-1", "r-run-2"))["rankings"] == (2, 2, 0, 0, 1, 0)


@pytest.mark.parametrize("options", [{}, {"table": "explanations"}])
def test_users_are_shown_of_whom_one_explanation_alone_changed(profile, options) -> None:
    row = made("a")
    row["explanations"][1]["explanation"] = "It is quiet as well."
    release(profile, [made("a"), made("b")], NIGHT, "run-1")
    release(profile, [row, made("b")], NEXT, "run-2")
    assert [user.user_id for user in diff(profile, "r-run-1", "r-run-2", **options).users] == ["a"]


def test_a_date_is_its_newest_release_that_is_kept(profile) -> None:
    first, again = (release(profile, [made("a")], NIGHT, name) for name in ("run-1", "run-2"))
    release(profile, [made("b")], NEXT, "run-3")
    retire(profile, [again], STARTED)
    assert diff(profile, "2024-05-01", "latest").a == first
    retire(profile, [first], STARTED)
    with pytest.raises(NotFound, match=r"release 'r-run-2' in .* is retired since 2024-05-02"):
        diff(profile, "2024-05-01", "latest")


UNKNOWN = {
    "release": (("r-9", "latest"), {}, "no release 'r-9' in .*; the newest are r-run-2, r-run-1"),
    "date": (("2024-04-01", "latest"), {}, "no release of the night of 2024-04-01 .*; nights with one: 2024-05-02, 2024-05-01"),
    "table": (("r-run-1", "latest"), {"table": "runs"}, "no published table 'runs'; there are user_summaries, rankings"),
    "user": (("r-run-1", "latest"), {"user": "z'"}, 'no user "z\'" in r-run-1 or r-run-2'),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_not_there_is_told(nights, case: str) -> None:
    names, options, message = UNKNOWN[case]
    with pytest.raises(NotFound, match=message):
        diff(nights, *names, **options)


def test_nothing_to_compare_before_the_first_release(profile) -> None:
    with pytest.raises(NotFound, match="nothing is released yet"):
        diff(profile, "latest", "latest")


def test_side_by_side_for_people(nights, nocturne) -> None:
    code, said, _ = nocturne("diff", "2024-05-01", "latest")
    assert code == 0
    for text in (
        "r-run-1 (night of 2024-05-01)  →  r-run-2 (night of 2024-05-02)",
        "lists: overlap@10 0.833 on average, 66.7% the same in the same order",
        "summaries: 66.7% word for word the same",
        "user c, overlap@10 0.50",
        "- Film i6",
        "+ Film j0",
        "Likes quiet films of every age.  [llm] │ Likes loud films.  [llm]",
    ):
        assert text in said
    assert "user a" not in said


def test_forms_for_programs(nights, nocturne) -> None:
    _, said, _ = nocturne("diff", "2024-05-01", "latest", "--format", "json", "--examples", "1")
    found = json.loads(said)
    assert (found["equal"], found["a"]["release_id"], [user["user_id"] for user in found["users"]]) == (False, "r-run-1", ["c"])
    _, said, _ = nocturne("diff", "2024-05-01", "latest", "--format", "csv")
    header, first, *_ = csv.reader(io.StringIO(said, newline=""))
    assert dict(zip(header, first, strict=True)) == {
        "table": "user_summaries", "of": "users", "rows_a": "4", "rows_b": "4",
        "added": "1", "removed": "1", "changed": "1", "same": "2",
    }  # fmt: skip


def test_texts_of_users_are_shown_and_not_obeyed(profile, nocturne) -> None:
    release(profile, [made(HOSTILE)], NIGHT, "run-1")
    row = made(HOSTILE, HOSTILE, items=("i1", HOSTILE))
    for each in row["rankings"]:
        each["title"] = HOSTILE
    release(profile, [row], NEXT, "run-2")
    for options in ([], ["--user", HOSTILE], ["--table", "evidence", "--user", HOSTILE]):
        code, said, error = nocturne("diff", "r-run-1", "latest", *options)
        assert (code, error) == (0, "")
        assert all(each.isprintable() or each == "\n" for each in said)
    assert "[red]Ünsafe[/red]" in nocturne("diff", "r-run-1", "latest")[1]
