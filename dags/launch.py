"""How a job is launched: the one place that knows.

A DAG names a job and the runtime it needs. This module makes a command of that, runs it with the job's lines
in the task's log, and returns the job's result. Between it and a job this is agreed:

- the job is a module of `jobs`, found through PYTHONPATH; NOCTURNE_HOME is set; Airflow's variables are not;
- its last line on stdout is its result, one JSON object;
- exit code 3 says that no retry mends it; why is on stderr, in a line that starts with `nocturne: ` and the
  indented ones below it;
- any other failure may be retried. SIGTERM asks the job to stop.

Where a Spark job runs is the profile's `[runtime]` table:

    [runtime]
    spark = "spark-submit"                      # default "venv": this machine, in the runtime's environment
    spark_submit = ["--master", "k8s://..."]    # what stands before the job's script

A job of the `llm` runtime runs in the environment of the worker that Airflow's queue `gpu` reaches.
"""

import json
import os
import shlex
import signal
import subprocess
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread

import psutil
from airflow.sdk.exceptions import AirflowException, AirflowFailException

REPO = Path(__file__).resolve().parents[1]
NO_RETRY = 3
GRACE_S = 10
COMPLAINT = "nocturne: "
SPARK_LAUNCHERS = ("venv", "spark-submit")


@dataclass(frozen=True)
class Launcher:
    """What the `[runtime]` table of a profile says about starting Spark jobs."""

    spark: str = "venv"
    spark_submit: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: Path) -> "Launcher":
        """Read it from a profile. Whatever else the profile holds is for the jobs to judge."""
        try:
            table = tomllib.loads(profile.read_text(encoding="utf-8")).get("runtime", {})
        except OSError as error:
            raise AirflowFailException(f"profile {profile}: {error.strerror}") from None
        except ValueError as error:
            raise AirflowFailException(f"profile {profile}: not TOML: {error}") from None
        return cls.checked(table, profile)

    @classmethod
    def checked(cls, table: Mapping, profile: Path) -> "Launcher":
        """The table's two keys, if their values are possible ones."""
        spark, submit = table.get("spark", "venv"), table.get("spark_submit", [])
        if spark not in SPARK_LAUNCHERS:
            raise AirflowFailException(f"profile {profile}: runtime.spark is {spark!r}; allowed: {', '.join(SPARK_LAUNCHERS)}")
        if not isinstance(submit, list) or not all(isinstance(part, str) for part in submit):
            raise AirflowFailException(f"profile {profile}: runtime.spark_submit is {submit!r}; allowed: a list of strings")
        return cls(spark, tuple(submit))


def launch(job: str, runtime: str, launcher: Launcher | None = None, given: str = "", **arguments) -> dict:
    """Run `jobs.<job>` in a runtime to its end and return its result; `launcher` is by default the profile's.

    `given` is its stdin: for what must stand in no log.

    Raises AirflowFailException where a retry cannot help, AirflowException where it may.
    """
    launcher = launcher or Launcher.of(Path(arguments["profile"]))
    command = compose(job, runtime, launcher, home(), arguments)
    print(shlex.join(command), flush=True)
    process = start(command, environment(os.environ, home()) | allocator(runtime), given)
    try:
        with stopped_at_last(process):
            out, err = follow(process)
    except KeyboardInterrupt:  # Ctrl-C in `airflow dags test`, which would take it for a failure to retry
        raise AirflowFailException(f"{job} was interrupted") from None
    return result(job, process.returncode, out, err)


def compose(job: str, runtime: str, launcher: Launcher, home: Path, arguments: Mapping) -> list[str]:
    """The command line of a job. Pure: equal arguments give equal commands."""
    programs = home / "envs" / runtime / "bin"
    if runtime == "spark" and launcher.spark == "spark-submit":
        package, _, module = job.partition(".")
        script = REPO / "jobs" / package / f"{module or '__main__'}.py"
        return [f"{programs}/spark-submit", *launcher.spark_submit, str(script), *options(arguments)]
    return [f"{programs}/python", "-m", f"jobs.{job}", *options(arguments)]


def options(arguments: Mapping) -> Iterator[str]:
    """`run_date="2016-10-17"` is `--run-date 2016-10-17`; True is the bare flag; None, False: nothing."""
    for name, value in arguments.items():
        if value is None or value is False:
            continue
        yield "--" + name.replace("_", "-")
        if value is not True:
            yield str(value)


def environment(inherited: Mapping[str, str], home: Path) -> dict[str, str]:
    """What a job sees: the inherited variables without Airflow's and Python's own, and where things are."""
    kept = {k: v for k, v in inherited.items() if not k.lstrip("_").startswith(("AIRFLOW", "PYTHON"))}
    java_home = home / "java_home"  # the Java that set-up chose, as in infra/env.sh: Spark fails on others
    if java_home.exists():
        kept["JAVA_HOME"] = java_home.read_text().strip()
    return kept | {
        "NOCTURNE_HOME": str(home),
        "PYTHONPATH": str(REPO),
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_DRIVER_PYTHON": str(home / "envs" / "spark" / "bin" / "python"),
    }


def allocator(runtime: str) -> dict[str, str]:
    """A tenth more tokens a second on a CPU where tcmalloc is installed; what the user preloads stays."""
    library = find_library("tcmalloc_minimal") if runtime == "llm" and "LD_PRELOAD" not in os.environ else None
    return {"LD_PRELOAD": library} if library else {}


def home() -> Path:
    """NOCTURNE_HOME: where everything that is not code lives."""
    return Path(os.environ.get("NOCTURNE_HOME") or REPO / ".nocturne").resolve()


def start(command: list[str], env: dict[str, str], given: str) -> subprocess.Popen:
    """Start the job in the task's own process group: a scheduler that kills the task kills the job."""
    try:
        with TemporaryFile("w+") as stdin:
            stdin.write(given)
            stdin.seek(0)
            return subprocess.Popen(
                command,
                cwd=REPO,
                env=env,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="backslashreplace",
            )
    except OSError as error:
        reason = f"cannot start {command[0]}: {error.strerror}; infra/nocturne doctor says how to mend it"
        raise AirflowFailException(reason) from error


def follow(process: subprocess.Popen) -> tuple[list[str], list[str]]:
    """Show the job's lines until it ends; return the last one of stdout and the last ones of stderr.

    Two pipes, not one: the result is a line of stdout, whatever a JVM says meanwhile on stderr.
    """
    assert process.stdout and process.stderr
    err: deque[str] = deque(maxlen=200)
    reader = Thread(target=lambda stderr: err.extend(shown(stderr)), args=[process.stderr], daemon=True)
    reader.start()
    out = deque(shown(process.stdout), maxlen=1)
    process.wait()
    reader.join(GRACE_S)
    return list(out), list(err)


def shown(lines: Iterable[str]) -> Iterator[str]:
    """The lines that say something, printed on their way: a task's stdout is its log."""
    for line in lines:
        if line := line.rstrip():
            print(f"{line}\n", end="", flush=True)  # one write: two threads print
            yield line


@contextmanager
def stopped_at_last(process: subprocess.Popen) -> Iterator[None]:
    """However the task ends (done, timed out, Ctrl-C, SIGTERM), the job and its children end with it.

    SIGTERM does not unwind a task: Airflow calls `on_kill`, which a Python task has not. Hence the handler.
    """
    asked: set[psutil.Process] = set()  # remembered: once the job has ended, nothing leads to its children

    def ask_to_stop(*_) -> None:
        for member in family(process):
            asked.add(member)
            with suppress(psutil.NoSuchProcess):
                member.terminate()

    before = signal.signal(signal.SIGTERM, ask_to_stop)
    try:
        yield
    finally:
        ask_to_stop()
        for survivor in psutil.wait_procs(asked, timeout=GRACE_S)[1]:
            survivor.kill()
        process.wait()
        signal.signal(signal.SIGTERM, before)


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """The job's process and all below it, as far as they still run."""
    try:
        job = psutil.Process(process.pid)
        return [job, *job.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def result(job: str, code: int, out: list[str], err: list[str]) -> dict:
    """What a finished job amounts to: its result, or the exception that says what went wrong."""
    if code == 0:
        return parsed(job, out)
    said = complaint(err)
    if code == NO_RETRY:
        raise AirflowFailException(said or f"{job} gave up without saying why")
    said = said or (err or out or ["it said nothing"])[-1]
    raise AirflowException(f"{job} ended with {ending(code)}: {said}")


def complaint(err: list[str]) -> str:
    """The job's last message for the reader: a `nocturne: ` line and the indented ones below it."""
    starts = [number for number, line in enumerate(err) if line.startswith(COMPLAINT)]
    if not starts:
        return ""
    first, *rest = err[starts[-1] :]
    return "\n".join([first.removeprefix(COMPLAINT), *takewhile(lambda line: line.startswith(" "), rest)])


def ending(code: int) -> str:
    """A return code in words: the exit code, or the signal that ended the job."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def parsed(job: str, out: list[str]) -> dict:
    """The result line as a dict. A job without one is broken, and a retry would not mend it."""
    last = out[-1] if out else "nothing"
    with suppress(ValueError):
        if isinstance(value := json.loads(last), dict):
            return value
    raise AirflowFailException(f"{job} must end with one JSON object on stdout, not: {last}")
