"""Judge tables by their contracts with Great Expectations, on Spark, before anything is visible."""

from __future__ import annotations

import json
import logging
import os
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from jobs.contracts import Contract, Rule, contract

SAMPLES = 3
COUNTS = {"result_format": "BASIC", "partial_unexpected_count": SAMPLES}  # keys cost a Spark job a rule: only for what failed


def judge(tables: dict[str, DataFrame], run_id: str, run_date: date, docs: str | None) -> list[dict[str, Any]]:
    """Run every table's suite; returns rows of `validations` and writes Data Docs (HTML) into folder `docs`."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    if docs:
        _add_docs(context, docs)
    source = context.data_sources.add_spark("nocturne")
    rows = []
    for name, frame in tables.items():
        suite = _suite(contract(name))
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(str(run_date))
        definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
        context.validation_definitions.add(definition)
        result = definition.run(batch_parameters={"dataframe": frame}, result_format=COUNTS)
        failed = {_rule(each) for each in result.results if not each.success}
        results = {_rule(each): each for each in result.results}
        if failed:
            again = batch.get_batch(batch_parameters={"dataframe": frame})
            named = again.validate(_suite(contract(name), failed), result_format=_with_keys(contract(name)))
            results |= {_rule(each): each for each in named.results}
        rows += [_row(name, each, run_id, run_date) for each in results.values()]
    if docs:
        context.build_data_docs()
    return rows


def _rule(result: Any) -> str:
    """Name of the rule that a result is about."""
    return str(result.expectation_config.meta["rule"])


def _suite(table: Contract, only: set[str] | None = None) -> Any:
    """The contract's rules, or `only` some, as a suite; each expectation carries its rule's name and severity."""
    import great_expectations as gx
    from great_expectations.expectations.registry import get_expectation_impl

    suite = gx.ExpectationSuite(name=table.name)
    for rule in (each for each in table.rules() if only is None or each.name in only):
        expectation = get_expectation_impl(rule.expectation)
        suite.add_expectation(expectation(**rule.arguments, meta=_meta(rule)))
    return suite


def _meta(rule: Rule) -> dict[str, str]:
    return {"rule": rule.name, "severity": rule.severity}


def _with_keys(table: Contract) -> dict[str, Any]:
    keys = [name for name in table.keys if name != "run_date"]
    about = {"unexpected_index_column_names": keys} if keys else {}
    return {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLES, **about}


def _row(table: str, result: Any, run_id: str, run_date: date) -> dict[str, Any]:
    """One expectation's result as a row of `validations`."""
    config, found = result.expectation_config, result.result
    arguments = {key: value for key, value in config.kwargs.items() if key not in ("batch_id", "column", "column_list")}
    error = _error(result.exception_info or {})
    if error:
        observed = f"could not be judged: {error}"
    elif "unexpected_count" in found:
        observed = f"{found['unexpected_count']} of {found['element_count']} rows break it"
    else:
        observed = json.dumps(found.get("observed_value", found), default=str)
    samples = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    return {
        "run_id": run_id,
        "run_date": run_date,
        "table": table,
        "rule": config.meta["rule"],
        "severity": config.meta["severity"],
        "passed": bool(result.success) and not error,
        "expected": f"{config.type} {json.dumps(arguments, default=str)}"[:1000],
        "observed": observed[:1000],
        "sample_keys": [_key(contract(table), sample) for sample in samples[:SAMPLES]],
    }


def _error(info: dict[str, Any]) -> str | None:
    """What kept an expectation from being judged; Great Expectations nests one report a metric where metrics failed."""
    reports = [info] if "raised_exception" in info else [each for each in info.values() if isinstance(each, dict)]
    return next((str(each["exception_message"]) for each in reports if each.get("raised_exception")), None)


def _key(table: Contract, sample: Any) -> str:
    """`user_id=7, rank=1`; where there is no key, the value itself."""
    if not isinstance(sample, dict):
        return str(sample)
    names = [name for name in table.keys if name in sample and name != "run_date"] or list(sample)
    return ", ".join(f"{name}={sample[name]}" for name in names)


def _add_docs(context: Any, folder: str) -> None:
    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder},
    }
    for name in context.get_site_names():
        context.delete_data_docs_site(name)
    context.add_data_docs_site(site_name="nocturne", site_config=site)
