"""What the lists are worth, weekly: held-out events, beside baselines, with intervals, into the table `evaluations`.

Then what the model's scores add to them, and the weight that the nights after it give those scores: 0 unless they help. And
how much likelier a user's summary makes what they do next.

**Parameters.** `date` is the run date: events before it count. Empty, it is the day (UTC) of the run's logical date.
"""

from datetime import timedelta

from airflow.sdk import dag, task
from launch import launch
from runs import ONE_AT_A_TIME, PARAMS, RETRIED, opened, say_what_failed


@dag(
    **ONE_AT_A_TIME,
    schedule="0 6 * * 0",
    params=PARAMS,
    doc_md=__doc__,
    default_args=RETRIED | {"on_failure_callback": say_what_failed},
)
def evaluate():
    @task(execution_timeout=timedelta(minutes=5), multiple_outputs=False)
    def open_run(params, dag_run) -> dict[str, str]:
        """What the evaluation is about; the arguments of its job."""
        return opened(params, dag_run, PARAMS)

    @task(execution_timeout=timedelta(hours=4))
    def judge(run):
        """Split, make every method's lists, compare."""
        return launch("evaluate", "spark", **run)

    @task(execution_timeout=timedelta(hours=12), pool="gpu", queue="gpu")
    def score(run):
        """The model's scores of held-out users' candidates, and of what is held out by their summaries."""
        return launch("evaluate.scores", "llm", **about(run))

    @task(execution_timeout=timedelta(hours=1))
    def weigh(run):
        """What the scores and the summaries are worth, and the weight that nights give the scores."""
        return launch("evaluate.weigh", "spark", **about(run))

    run = open_run()
    judge(run) >> score(run) >> weigh(run)


def about(run) -> dict:
    """The arguments of the jobs that follow the first."""
    return {name: run[name] for name in ("profile", "run_date", "run_id")}


evaluate()
