"""Erase users: from tables with all their versions, files, logs, caches and the log where it is ours; and keep them out.

The task returns the receipt, a row of the table `erasures`; it fails where a scan of every byte still finds them.

**Parameters.** `users` are their ids. They leave this run's parameters too, so a run that failed is started anew, not cleared.
"""

import json
from datetime import timedelta

from airflow.sdk import Param, dag, task
from launch import launch
from runs import ONE_AT_A_TIME, PARAMS, RETRIED, at_repo, refuse_unknown, say_what_failed

ASKED = {
    "users": Param(None, "ids of the users to erase", type="array", items={"type": "string", "minLength": 1}, minItems=1),
    "profile": PARAMS["profile"],
}


@dag(
    **ONE_AT_A_TIME,
    schedule=None,
    params=ASKED,
    doc_md=__doc__,
    default_args=RETRIED | {"on_failure_callback": say_what_failed},
)
def erase():
    @task(execution_timeout=timedelta(hours=12), multiple_outputs=False)
    def remove(params, dag_run):
        """Suppress, remove, prove."""
        refuse_unknown(dag_run, ASKED)
        return launch("erase", "spark", given=json.dumps(params["users"]), profile=at_repo(params["profile"]))

    remove()


erase()
