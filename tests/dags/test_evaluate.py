"""The DAG `evaluate` in real Airflow with a stand-in for its job."""

import pytest
from test_nightly import FATAL, PASSING, option, run, states


def test_schedule_and_form(evaluate):
    assert (evaluate.schedule, evaluate.catchup, evaluate.max_active_runs) == ("0 6 * * 0", False, 1)
    assert "Parameters" in evaluate.doc_md
    assert evaluate.params.dump() == {"date": None, "profile": "infra/profiles/demo.toml"}


def test_an_evaluation(evaluate, home):
    assert states(run(evaluate, home, date="2016-10-10")) == {"open_run": ["success"], "judge": ["success"]}
    (call,) = home.calls()
    assert call["job"] == "evaluate" and option(call, "--run-date") == "2016-10-10"
    assert option(call, "--run-id").startswith("2016-10-10-")


@pytest.mark.parametrize(("outcome", "attempts", "state"), [(PASSING, 2, "success"), (FATAL, 1, "failed")])
def test_what_may_pass_is_retried(evaluate, home, capfd, outcome, attempts, state):
    home.plan(evaluate=[outcome, {"result": {}}])
    assert run(evaluate, home).state == state
    assert [call["job"] for call in home.calls()] == ["evaluate"] * attempts
    assert (state == "success") or "nocturne: stage judge failed: no events before" in capfd.readouterr().err
