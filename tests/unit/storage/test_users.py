"""Users, passwords and tokens, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pbx.cti.actor import Actor
from pbx.storage.database import migrate, open_engine
from pbx.storage.tables import tokens, users
from pbx.storage.users import ConfiguredUser, UserError, Users, hash_password

NOW = 1_795_000_000.0


@pytest.fixture
def store(url: str) -> Iterator[Users]:
    engine = open_engine(url)
    migrate(engine)
    yield Users(engine)
    engine.dispose()


def test_a_password_tells_who_it_is(store: Users) -> None:
    store.put_user("anna", "agent", wall=NOW, agent="1001", teams=["red"], password="correct horse")
    assert store.check_password("anna", "correct horse") == Actor(
        user="anna", role="agent", agent="1001", teams=("red",)
    )
    for name, password in (
        ("anna", "correct hors"),
        ("anna", ""),
        ("Anna", "correct horse"),
        ("bob", "x"),
        ("anna", "x" * 5000),
    ):
        assert store.check_password(name, password) is None
    store.put_user("anna", "supervisor", wall=NOW)
    changed = store.check_password("anna", "correct horse")
    assert changed is not None and changed.role == "supervisor"
    store.put_user("anna", "supervisor", wall=NOW, enabled=False)
    assert store.check_password("anna", "correct horse") is None


def test_without_a_password_nobody_logs_in_by_password(store: Users) -> None:
    store.put_user("robot", "administrator", wall=NOW)
    assert store.check_password("robot", "") is None
    assert [(user.name, user.has_password) for user in store.list_users()] == [("robot", False)]


def test_tokens_run_out_and_are_revoked(store: Users) -> None:
    store.put_user("anna", "agent", wall=NOW, agent="1001")
    forever, short = (
        store.create_token("anna", wall=NOW, label="a"),
        store.create_token("anna", wall=NOW, lifetime_s=60),
    )
    for token, wall, good in ((forever, NOW + 1e9, True), (short, NOW + 59, True), (short, NOW + 60, False)):
        assert (store.check_token(token, wall) is not None) == good
    for token in ("", "x", "x" * 10_000, forever[:-1], forever + "x", "tdm_\udcff" + "x" * 40):
        assert store.check_token(token, NOW) is None
    known = store.list_tokens("anna")
    assert {token.label for token in known} == {"a", ""}
    assert store.revoke_token(known[0].id) and store.revoke_token(known[1].id) and not store.revoke_token(known[0].id)
    assert store.check_token(forever, NOW) is None
    again = store.create_token("anna", wall=NOW)
    assert store.revoke_token(again) and store.check_token(again, NOW) is None
    with pytest.raises(UserError, match="there is no user 'bob'"):
        store.create_token("bob", wall=NOW)


def test_switched_off_and_removed_users_have_no_tokens(store: Users) -> None:
    store.put_user("anna", "agent", wall=NOW, agent="1001")
    token = store.create_token("anna", wall=NOW)
    store.put_user("anna", "agent", wall=NOW, agent="1001", enabled=False)
    assert store.check_token(token, NOW) is None
    store.put_user("anna", "agent", wall=NOW, agent="1001")
    assert store.check_token(token, NOW) is not None
    assert store.remove_user("anna") and not store.remove_user("anna")
    store.put_user("anna", "agent", wall=NOW, agent="1001")
    assert store.check_token(token, NOW) is None


def test_no_secret_is_kept_in_the_clear(store: Users) -> None:
    store.put_user("anna", "agent", wall=NOW, agent="1001", password="correct horse")
    token = store.create_token("anna", wall=NOW)
    with store._engine.connect() as connection:
        rows = str([*connection.execute(users.select()), *connection.execute(tokens.select())])
    assert "correct horse" not in rows and token not in rows and "$argon2id$" in rows
    configured = ConfiguredUser(name="x", role="agent", password="geheim123", token="geheimtoken")
    assert "geheim" not in repr(configured)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "ä", "a\nb"])
def test_odd_names_are_refused(store: Users, name: str) -> None:
    with pytest.raises(UserError, match="is no user name"):
        store.put_user(name, "administrator", wall=NOW)


def test_what_cannot_be_is_said(store: Users) -> None:
    with pytest.raises(UserError, match="needs the agent it is"):
        store.put_user("a", "agent", wall=NOW)
    with pytest.raises(UserError, match="is no role"):
        store.put_user("a", "king", wall=NOW)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least 8"):
        hash_password("short")
    with pytest.raises(UserError, match="at most 1024"):
        hash_password("x" * 1025)


def test_the_configuration_has_its_users(store: Users) -> None:
    store.put_user("extra", "administrator", wall=NOW, password="from the command")
    first = [
        ConfiguredUser(name="anna", role="agent", agent="1001", password="correct horse", token="token-of-anna"),
        ConfiguredUser(name="root", role="administrator", password_hash=hash_password("another horse")),
    ]
    store.sync_configuration(first, NOW)
    assert store.check_password("anna", "correct horse") and store.check_password("root", "another horse")
    assert store.check_token("token-of-anna", NOW)
    kept = store.create_token("anna", wall=NOW, label="phone")
    before = [user for user in store.list_users()]
    store.sync_configuration(first, NOW + 1)
    assert [user for user in store.list_users()] == before
    second = [ConfiguredUser(name="anna", role="supervisor", teams=("red",), token="newer-token-of-anna")]
    store.sync_configuration(second, NOW + 2)
    assert store.check_token("token-of-anna", NOW) is None
    anna = store.check_token("newer-token-of-anna", NOW)
    assert anna is not None and (anna.role, anna.teams) == ("supervisor", ("red",))
    assert store.check_token(kept, NOW) == anna
    assert store.check_password("anna", "correct horse") is None, "the configuration has no password for anna any more"
    assert store.find_user("root") is None
    assert store.check_password("extra", "from the command")
