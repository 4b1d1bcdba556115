"""What the model's scores count: by the profile, or by the newest evaluation that holds."""

import argparse
import json
from datetime import UTC, date, datetime

import pytest

from jobs import fusion
from jobs.contracts import contract
from jobs.fusion import conditions, decide
from jobs.prepare.__main__ import prepare
from jobs.profile import load_profile
from jobs.progress import Progress
from jobs.storage import put_rows
from tests.data.inputs import profile
from tests.data.shop import RUN_DATE, write_shop

DAY = date(2024, 5, 1)


def weight(one, scorer="likelihood", value=0.3, day=DAY, run_id="e1", gain=0.01, model="m", **other):
    """A row of `evaluations`."""
    told = conditions(one, scorer, model) | {"scorer": scorer, "gain": gain, "low": gain - 0.005, "high": gain + 0.005} | other
    about = {"run_id": run_id, "run_date": day, "split": "leave_one_out", "segment": "all", "method": f"ours+{scorer}"}
    return dict.fromkeys(contract("evaluations").names) | about | {
        "metric": "weight", "value": value, "n_users": 9, "settings": json.dumps(told)
    }  # fmt: skip


def test_without_an_evaluation_it_is_nothing_and_says_so(tmp_path):
    found = decide(profile(tmp_path), DAY, "m")
    assert (found.weight, "no evaluation has measured it (infra/nocturne evaluate)" in found.why) == (0.0, True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{}], ("likelihood", 0.3)),
        ([{"value": 0.0, "gain": 0.004}], ("likelihood", 0.0)),
        ([{}, {"scorer": "labels", "value": 0.5, "gain": 0.02}], ("labels", 0.5)),
        ([{}, {"scorer": "labels", "value": 0.0, "gain": 0.02}], ("likelihood", 0.3)),
        ([{}, {"day": date(2024, 4, 1), "run_id": "e0", "value": 0.9}], ("likelihood", 0.3)),
        ([{"day": date(2024, 5, 2), "value": 0.9}, {"day": date(2024, 4, 1), "run_id": "e0"}], ("likelihood", 0.3)),
        ([{"model": "other"}], ("likelihood", 0.0)),
        ([{"model": "other"}, {"day": date(2024, 4, 1), "run_id": "e0"}], ("likelihood", 0.3)),
        ([{"prompts": {"next": "changed"}}], ("likelihood", 0.0)),
        ([{"scored": 3}], ("likelihood", 0.0)),
    ],
    ids=["found", "no gain", "the better of two", "a gain that is not sure", "the newest", "not after the night",
         "another model", "the newest that holds", "another prompt", "other settings"],
)  # fmt: skip
def test_the_newest_that_holds(tmp_path, rows, expected):
    one = profile(tmp_path)
    put_rows(one, "evaluations", [weight(one, **row) for row in rows])
    found = decide(one, DAY, "m")
    assert (found.scorer, found.weight) == expected
    assert f"weight of the model's scores {found.weight:g}" in found.why


def test_the_profile_may_decide(tmp_path):
    one = profile(tmp_path, night={"model_weight": 0.7, "scorer": "labels"})
    put_rows(one, "evaluations", [weight(one)])
    found = decide(one, DAY, "m")
    assert (found.scorer, found.weight, "by the profile" in found.why) == ("labels", 0.7, True)


def test_what_is_decided_is_in_the_profile(tmp_path):
    one = profile(tmp_path)
    assert one.night.fused_weight == 0.0
    night = fusion.Fusion(scorer="labels", weight=0.4).applied(one).night
    assert (night.scorer, night.fused_weight) == ("labels", 0.4)


def test_a_night_is_prepared_with_what_was_measured(spark, tmp_path):
    file = write_shop(tmp_path)
    file.write_text(
        file.read_text(encoding="utf-8").replace('"model_weight" = 0.5', '"model_weight" = "measured"'), encoding="utf-8"
    )
    one, started = load_profile(file), datetime(2030, 1, 1, tzinfo=UTC)
    put_rows(one, "evaluations", [weight(one, day=date(2024, 3, 1), model=None)])
    about = {"run_id": "r", "run_date": date.fromisoformat(RUN_DATE), "started_at": started}
    arguments = argparse.Namespace(**about, users=None, shards=1, force=False, into=None)
    assert prepare(spark, one, arguments, Progress("test")).fusion.weight == 0.3
