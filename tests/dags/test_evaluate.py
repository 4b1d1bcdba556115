"""The DAG `evaluate` in real Airflow with a stand-in for its job."""

import pytest
from test_nightly import FATAL, PASSING, option, run, states


def test_schedule_and_form(evaluate):
    assert (evaluate.schedule, evaluate.catchup, evaluate.max_active_runs) == ("0 6 * * 0", False, 1)
    assert "Parameters" in evaluate.doc_md
    assert evaluate.params.dump() == {"date": None, "profile": "infra/profiles/demo.toml"}


def test_an_evaluation(evaluate, home):
    stages = ("open_run", "judge", "score", "weigh")
    assert states(run(evaluate, home, date="2016-10-10")) == {stage: ["success"] for stage in stages}
    judge, *others = home.calls()
    assert [call["job"] for call in home.calls()] == ["evaluate", "evaluate.scores", "evaluate.weigh"]
    assert option(judge, "--run-id").startswith("2016-10-10-")
    for call in others:
        assert [option(call, name) for name in ("--run-date", "--run-id")] == ["2016-10-10", option(judge, "--run-id")]


@pytest.mark.parametrize(("outcome", "attempts", "state"), [(PASSING, 2, "success"), (FATAL, 1, "failed")])
def test_what_may_pass_is_retried(evaluate, home, capfd, outcome, attempts, state):
    home.plan(evaluate=[outcome, {"result": {}}])
    assert run(evaluate, home).state == state
    assert [call["job"] for call in home.calls() if call["job"] == "evaluate"] == ["evaluate"] * attempts
    assert (state == "success") or "nocturne: stage judge failed: no events before" in capfd.readouterr().err
