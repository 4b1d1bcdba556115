"""The DAG `maintain` in real Airflow with a stand-in for its job."""

import pytest
from test_nightly import FATAL, PASSING, option, run, states


def test_schedule_and_form(maintain):
    assert (maintain.schedule, maintain.catchup, maintain.max_active_runs) == ("0 12 * * 0", False, 1)
    assert "Parameters" in maintain.doc_md
    assert maintain.params.dump() == {"dry_run": False, "profile": "infra/profiles/demo.toml"}


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_upkeep(maintain, home, dry_run):
    assert states(run(maintain, home, dry_run=dry_run)) == {"open_run": ["success"], "keep": ["success"]}
    (call,) = home.calls()
    assert call["job"] == "maintain"
    assert option(call, "--profile") == str(home.profile)
    assert option(call, "--started-at").endswith("+00:00")
    assert ("--dry-run" in call["argv"]) == dry_run
    assert "--run-date" not in call["argv"]


@pytest.mark.parametrize(("outcome", "attempts", "state"), [(PASSING, 2, "success"), (FATAL, 1, "failed")])
def test_what_may_pass_is_retried(maintain, home, capfd, outcome, attempts, state):
    home.plan(maintain=[outcome, {"result": {}}])
    assert run(maintain, home).state == state
    assert len(home.calls("maintain")) == attempts
    assert (state == "success") or "nocturne: stage keep failed: no events before" in capfd.readouterr().err


def test_it_runs_here_also_where_spark_runs_on_a_cluster(maintain, home):
    home.profile.write_text('[runtime]\nspark = "spark-submit"\n')
    assert run(maintain, home).state == "success"
    assert [call["job"] for call in home.calls()] == ["maintain"]


def test_an_unknown_parameter_is_refused(maintain, home, capfd):
    assert run(maintain, home, nights=3).state == "failed"
    assert "unknown parameter nights; allowed: dry_run, profile" in capfd.readouterr().err
