"""Real Airflow with a database of its own, and stand-ins for the jobs (standin.py).

Airflow reads its configuration when it is imported: so the environment is set here, before any test is read.
"""

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "dags")]

from homes import DAGS, Home, airflow_environment  # noqa: E402

AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="nocturne-airflow-")
os.environ.update(airflow_environment(AIRFLOW_HOME.name), AIRFLOW__CORE__UNIT_TEST_MODE="True")
os.environ.pop("NOCTURNE_PROFILE", None)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """Stand-in runtimes, and the environment variable that leads to them."""
    home = Home(tmp_path)
    monkeypatch.setenv("NOCTURNE_HOME", str(home.path))
    return home


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's tables, in the session's own SQLite file."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def nightly(database):
    return parsed("nightly")


@pytest.fixture
def evaluate(database):
    return parsed("evaluate")


@pytest.fixture
def maintain(database):
    return parsed("maintain")


@pytest.fixture
def erase(database):
    return parsed("erase")


def parsed(name: str):
    """A DAG, freshly parsed; retries wait for nothing."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    dag = bag.dags[name]
    for one in dag.tasks:
        no_wait(one)
    return dag


def no_wait(task) -> None:
    """Take the delay between retries away; a mapped task keeps its settings elsewhere."""
    settings = getattr(task, "partial_kwargs", None)
    if settings is None:
        task.retry_delay, task.retry_exponential_backoff = timedelta(0), 0
    else:
        settings.update(retry_delay=timedelta(0), retry_exponential_backoff=0)
