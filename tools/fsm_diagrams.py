"""Draws the SIP transaction machines from their tables, as Mermaid diagrams.

    python -m tools.fsm_diagrams [--check]

Writes docs/sip-transactions.md; with ``--check`` it only says whether that file is current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pbx.sip import fsm, fsm_ict, fsm_ist, fsm_nict, fsm_nist

TARGET = Path(__file__).parent.parent / "docs" / "sip-transactions.md"
HEAD = """# The four SIP transactions

Drawn by `python -m tools.fsm_diagrams` from the tables in `pbx/sip/fsm_*.py`; a test keeps this page current.
Edges read *input / actions*. Single letters are the timers of RFC 3261 table 4. An input without an edge in a state
is ignored there.
"""


def draw(title: str, table: fsm.Table, initial: tuple[str, tuple[str, ...]]) -> str:
    """One machine as a section with a diagram."""
    state, actions = initial
    lines = [f"## {title}", "", "```mermaid", "stateDiagram-v2"]
    lines.append(f"    [*] --> {state}" + (f" : {', '.join(actions)}" if actions else ""))
    for (source, what), (target, actions) in table.items():
        end = "[*]" if target == fsm.TERMINATED else target
        lines.append(f"    {source} --> {end} : {what}" + (f" / {', '.join(actions)}" if actions else ""))
    return "\n".join([*lines, "```", ""])


def render() -> str:
    """The whole page."""
    machines = (
        ("INVITE client (RFC 3261 section 17.1.1, RFC 6026)", fsm_ict.TABLE, fsm_ict.INITIAL),
        ("Non-INVITE client (RFC 3261 section 17.1.2)", fsm_nict.TABLE, fsm_nict.INITIAL),
        ("INVITE server (RFC 3261 section 17.2.1, RFC 6026)", fsm_ist.TABLE, fsm_ist.INITIAL),
        ("Non-INVITE server (RFC 3261 section 17.2.2)", fsm_nist.TABLE, fsm_nist.INITIAL),
    )
    return "\n".join([HEAD, *(draw(*machine) for machine in machines)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the page is out of date")
    args = parser.parse_args()
    page = render()
    if args.check:
        if not TARGET.is_file() or TARGET.read_text("utf-8") != page:
            sys.exit(f"{TARGET} is out of date: run python -m tools.fsm_diagrams")
        return
    TARGET.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
