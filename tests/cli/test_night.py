"""Following Airflow: one night and one evaluation of a warehouse at a time, and who is told to end ends Airflow's job."""

import os
import signal
import sys

import pytest

from jobs.cli.night import _follow
from jobs.errors import InputError
from jobs.locks import alone

ENDS_BY_INTERRUPT = """
import os, signal, time
try:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
except KeyboardInterrupt:
    raise SystemExit(7)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NOCTURNE_HOME", str(tmp_path))
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield tmp_path
    for each, handler in before.items():
        signal.signal(each, handler)


def test_one_of_a_kind_at_a_time(profile):
    with alone(profile, "night"), alone(profile, "evaluation"):
        for what in ("night", "evaluation"):
            with pytest.raises(InputError, match=f"another {what} is at work .*process {os.getpid()}"):
                alone(profile, what)
    alone(profile, "night").close()


def test_a_request_to_end_reaches_the_job(profile, home):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what goes to the background
    with alone(profile, "night") as lock:
        assert _follow([sys.executable, "-c", ENDS_BY_INTERRUPT], home / "log", lock) == 7
