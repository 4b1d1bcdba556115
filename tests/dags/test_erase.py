"""The DAG `erase` in real Airflow with a stand-in for its job: users reach the job, and no log."""

import json

import pytest
from airflow.sdk.exceptions import ParamValidationError
from test_nightly import FATAL, PASSING, run, states

USERS = ["erase-me-7f3a", "=cmd|'/c calc'!A1", "15"]


def test_schedule_and_form(erase):
    assert (erase.schedule, erase.catchup, erase.max_active_runs) == (None, False, 1)
    assert "Parameters" in erase.doc_md
    assert erase.params.dump() == {"users": None, "profile": "infra/profiles/demo.toml"}


def test_users_are_told_to_the_job_alone(erase, home, capfd):
    home.plan(erase=[{"result": {"left": []}}])
    assert states(run(erase, home, users=USERS)) == {"remove": ["success"]}
    (call,) = home.calls("erase")
    assert json.loads(call["given"]) == USERS
    assert call["argv"][2:] == ["--profile", str(home.profile)]
    said = "".join(capfd.readouterr())
    assert "jobs.erase --profile" in said
    assert "7f3a" not in said


@pytest.mark.parametrize("users", [[], "15", [15], [""], None])
def test_users_that_are_none(erase, home, users):
    with pytest.raises(ParamValidationError):
        run(erase, home, users=users)
    assert home.calls() == []


@pytest.mark.parametrize(("outcome", "attempts", "state"), [(PASSING, 2, "success"), (FATAL, 1, "failed")])
def test_what_may_pass_is_retried(erase, home, outcome, attempts, state):
    home.plan(erase=[outcome, {"result": {}}])
    assert run(erase, home, users=USERS).state == state
    assert len(home.calls("erase")) == attempts
