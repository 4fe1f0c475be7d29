"""What exists in a configuration, for references to it; also items that are wrong otherwise count."""

from __future__ import annotations

from pathlib import Path

from pbx.config.model import Configuration
from pbx.core.references import References
from pbx.core.yaml_tree import Node


def collect_references(tree: Node, configuration: Configuration | None) -> References:
    """Names from the files as they stand, and from the defaults."""
    skills = _keys_below(tree, "agents", "skills")
    if configuration is not None:
        skills |= {f"language-{tag}" for agent in configuration.agents.values() for tag in agent.languages}
    conferences = tree.find(("routes", "conferences"))
    return References(
        flows=_list_flows(configuration.flows) if configuration else frozenset(),
        queues=_keys(tree, "queues"),
        callback_queues=frozenset(
            name for name in _keys(tree, "queues") if _is_given(tree.find(("queues", name, "callback")))
        ),
        queue_keys=frozenset(
            (name, str(node.value))
            for name in _keys(tree, "queues")
            for key in _keys(tree, "queues", name, "keys")
            if (node := tree.find(("queues", name, "keys", key))) is not None
        ),
        extensions=_keys(tree, "extensions"),
        mailboxes=frozenset(
            number for number in _keys(tree, "extensions") if _is_given(tree.find(("extensions", number, "voicemail")))
        )
        | _keys(tree, "mailboxes"),
        agents=_keys(tree, "agents"),
        ring_groups=_keys(tree, "ring_groups"),
        conferences=frozenset(_texts(conferences, "number")),
        trunks=_keys(tree, "trunks"),
        calendars=_keys(tree, "calendars"),
        music=_keys(tree, "music") | {"default"},
        languages=frozenset(configuration.locale.languages) if configuration else frozenset(),
        skills=skills,
        teams=_keys(tree, "teams"),
        users=_keys(tree, "users"),
        engines=_keys(tree, "speech", "engines") | {"espeak"},
        recognisers=_keys(tree, "speech", "recognisers"),
        listeners=_keys(tree, "sip", "listeners") or frozenset({"udp", "tcp"}),
        dispositions=_keys(tree, "dispositions"),
        sources=_keys(tree, "sources"),
        slots=frozenset(configuration.routes.parking.slots) if configuration else frozenset(),
        permissions=frozenset(_texts(tree.find(("routes", "outbound")), "permission")),
        prompt_folders=tuple(map(str, configuration.prompts.folders)) if configuration else (),
    )


def _keys(tree: Node, *path: str) -> frozenset[str]:
    node = tree.find(path)
    return frozenset(node.value) if node is not None and isinstance(node.value, dict) else frozenset()


def _keys_below(tree: Node, section: str, field: str) -> frozenset[str]:
    """Keys (or list entries) of one field of all items of a section."""
    found: set[str] = set()
    for name in _keys(tree, section):
        node = tree.find((section, name, field))
        if node is not None and isinstance(node.value, dict):
            found |= set(node.value)
        elif node is not None and isinstance(node.value, list):
            found |= {item.value for item in node.value if isinstance(item.value, str)}
    return frozenset(found)


def _texts(items: Node | None, field: str) -> set[str]:
    """One field of all items of a list."""
    nodes = items.value if items is not None and isinstance(items.value, list) else []
    found = (node.find((field,)) for node in nodes)
    return {node.value for node in found if node is not None and isinstance(node.value, str)}


def _is_given(node: Node | None) -> bool:
    return node is not None and node.value not in (None, "no", "false", "off")


def _list_flows(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.parent.name for path in folder.glob("*/flow.yaml"))
    except OSError:
        return frozenset()
