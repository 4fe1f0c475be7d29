"""The configuration in the words of the SIP edge."""

from __future__ import annotations

from typing import Any

import pytest

from pbx.app.telephony.edge import make_guard_rules, make_toll_limits, make_trunk_specs
from pbx.config.model import Configuration, SecretSource
from pbx.sip.commands import Credentials
from pbx.sip.guard import SourceGuard
from pbx.sip.trunk_spec import RegistrationSpec, TrunkSpec


def reveal(source: SecretSource) -> str:
    return "revealed"


def spec(**trunk: Any) -> TrunkSpec:
    configuration = Configuration.model_validate({"trunks": {"t": {"name": "t", **trunk}}})
    (found,) = make_trunk_specs(configuration, reveal)
    return found


def test_a_trunk_by_address() -> None:
    found = spec(host="203.0.113.5", networks=["198.51.100.0/24"], transport="tcp", health={"interval": 7})
    assert (found.host, found.port, found.transport, found.default_port) == ("203.0.113.5", 0, "tcp", 5060)
    assert found.networks == ("198.51.100.0/24", "203.0.113.5")
    assert found.health_interval == 7
    assert found.registration is None
    assert found.credentials is None


def test_a_disabled_trunk_is_left_alone() -> None:
    configuration = Configuration.model_validate(
        {"trunks": {"t": {"name": "t", "host": "203.0.113.5", "enabled": False}}}
    )
    assert make_trunk_specs(configuration, reveal) == []


@pytest.mark.parametrize(
    ("trunk", "host", "port", "domain"),
    [
        ({"host": "sip.example.com"}, "sip.example.com", 0, "sip.example.com"),
        ({"host": "sip.example.com", "port": 5070}, "sip.example.com", 5070, "sip.example.com"),
        ({"host": "2001:db8::5"}, "2001:db8::5", 0, "[2001:db8::5]"),
        ({"registrar": "reg.example.com:5080"}, "reg.example.com", 5080, "reg.example.com"),
        ({"registrar": "[2001:db8::6]:5080"}, "2001:db8::6", 5080, "[2001:db8::6]"),
        ({"host": "sip.example.com", "registrar": "reg.example.com"}, "reg.example.com", 0, "reg.example.com"),
        ({"host": "sip.example.com", "outbound_proxy": "10.0.0.9:5090"}, "10.0.0.9", 5090, "sip.example.com"),
    ],
)
def test_where_a_registration_goes(trunk: dict[str, Any], host: str, port: int, domain: str) -> None:
    registrar = trunk.pop("registrar", "")
    registration = {"username": "acct", "secret": {"env": "X"}, "registrar": registrar, "contact_user": "7700"}
    found = spec(registration=registration, **trunk)
    assert (found.host, found.port) == (host, port)
    assert found.credentials == Credentials("acct", "revealed")
    assert found.registration == RegistrationSpec(
        domain=domain, username="acct", contact_user="7700", expires=600, retry=30.0, retry_maximum=900.0
    )


def test_credentials_of_calls_may_differ() -> None:
    auth = {"username": "caller", "secret": {"env": "Y"}}
    assert spec(host="203.0.113.5", auth=auth).credentials == Credentials("caller", "revealed")


def test_guard_rules_exempt_trunks_and_this_host() -> None:
    configuration = Configuration.model_validate({"guard": {"allow": ["10.0.0.0/8"], "deny": ["192.0.2.0/24"]}})
    guard = SourceGuard(make_guard_rules(configuration, ["203.0.113.5"]))
    for host in ("127.0.0.1", "::1", "10.9.9.9", "203.0.113.5"):
        with pytest.raises(ValueError, match="trunk"):
            guard.ban(host, 0.0)
    assert guard.ban("203.0.113.6", 0.0)


def test_toll_limits() -> None:
    configuration = Configuration.model_validate({"toll_fraud": {"concurrent": 7, "countries": ["CN"]}})
    limits = make_toll_limits(configuration)
    assert (limits.concurrent, limits.countries) == (7, ("CN",))
