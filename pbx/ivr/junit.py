"""Results of flow tests as JUnit XML, which CI systems read."""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree as ET

from pbx.ivr.testing import Result


def write_junit(results: list[Result]) -> str:
    """One test suite per flow."""
    top = ET.Element("testsuites", name="tandem ivr")
    for flow, group in groupby(sorted(results, key=lambda r: r.placed.flow), key=lambda r: r.placed.flow):
        members = list(group)
        failed = sum(not result.passed for result in members)
        suite = ET.SubElement(top, "testsuite", name=flow, tests=str(len(members)), failures=str(failed), errors="0")
        for result in members:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=f"ivr.{flow}",
                name=result.placed.case.name,
                file=result.placed.file,
                line=str(result.placed.line),
                time=f"{result.seconds:.1f}",
            )
            if not result.passed:
                failure = ET.SubElement(case, "failure", message=_clean(result.failures[0]))
                failure.text = _clean("\n".join([*result.failures, "", *result.record.story]))
    ET.indent(top)
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Without the control characters XML cannot hold."""
    return "".join(c for c in text if c in "\t\n" or ord(c) >= 32)
