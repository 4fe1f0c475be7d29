"""The IVR as a pure machine: schema, loader, lint, expressions and interpreter of flows written in YAML."""

from pbx.core.references import References
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter
from pbx.ivr.lint import check_folder, load_folder
from pbx.ivr.loader import link, load_flow, load_flows
from pbx.ivr.messages import CallFacts, Input, Output

__all__ = [
    "CallFacts",
    "Flow",
    "Input",
    "Interpreter",
    "Output",
    "References",
    "check_folder",
    "link",
    "load_flow",
    "load_flows",
    "load_folder",
]
