# The environment of everything that runs here; sourced by the launchers.
# What lies under NOCTURNE_HOME follows NOCTURNE_HOME; everything else keeps the value you gave it.

NOCTURNE_REPOSITORY=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
export NOCTURNE_HOME=${NOCTURNE_HOME:-$NOCTURNE_REPOSITORY/.nocturne}
[[ $NOCTURNE_HOME == /* ]] || NOCTURNE_HOME=$PWD/$NOCTURNE_HOME

# The Java that infra/bootstrap chose: Spark fails on others.
if [[ -r $NOCTURNE_HOME/java_home ]]; then
  JAVA_HOME=$(<"$NOCTURNE_HOME/java_home")
  export JAVA_HOME
fi

# Compiled modules are kept, in one place and out of the source tree: a start costs seconds less.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPATH=$NOCTURNE_REPOSITORY
export PYTHONPYCACHEPREFIX=$NOCTURNE_HOME/pycache

# Another database than Airflow's own SQLite file: set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN.
export AIRFLOW_HOME=$NOCTURNE_HOME/airflow
export AIRFLOW__CORE__DAGS_FOLDER=${AIRFLOW__CORE__DAGS_FOLDER:-$NOCTURNE_REPOSITORY/dags}
export AIRFLOW__CORE__LOAD_EXAMPLES=${AIRFLOW__CORE__LOAD_EXAMPLES:-False}
export AIRFLOW__CORE__MAX_MAP_LENGTH=${AIRFLOW__CORE__MAX_MAP_LENGTH:-4096}  # shards of one night
export AIRFLOW__CORE__EXECUTOR=${AIRFLOW__CORE__EXECUTOR:-LocalExecutor}

# Nothing is reported to anyone, and no model is looked for outside.
export GX_ANALYTICS_ENABLED=${GX_ANALYTICS_ENABLED:-false}
export VLLM_NO_USAGE_STATS=${VLLM_NO_USAGE_STATS:-1}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1}
