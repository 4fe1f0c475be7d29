"""Configuration and flows from their folders, judged together; and the versions of flows that went live."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from pbx.adapters.flow_store import FlowStore
from pbx.config.loader import examine
from pbx.config.model import Configuration
from pbx.core.problems import ConfigurationErrors, has_errors
from pbx.ivr.flow import Flow
from pbx.ivr.lint import load_folder

log = structlog.get_logger()


def load_all(folder: Path) -> tuple[Configuration, Mapping[str, Flow]]:
    """Configuration and flows. Raises ConfigurationErrors with everything that is wrong in either."""
    examined = examine(folder)
    flows: Mapping[str, Flow] = {}
    problems = list(examined.problems)
    if examined.flows is not None and examined.flows.is_dir():
        flows, found = load_folder(examined.flows, examined.references)
        problems += found
    if examined.configuration is None or has_errors(problems):
        raise ConfigurationErrors(problem for problem in problems if problem.severity == "error")
    return examined.configuration, flows


def keep_versions(configuration: Configuration, flows: Mapping[str, Flow]) -> None:
    """Put every flow that goes live where ``tandem ivr rollback`` finds it. A full disk only says so."""
    store = FlowStore(configuration.data_folder() / "flows")
    for flow in flows.values():
        try:
            store.keep(flow, time.time())
        except OSError as error:
            log.warning("flow.not_kept", flow=flow.name, error=str(error))
