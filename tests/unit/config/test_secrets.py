"""Secrets: where they come from, that they are made once, and that nothing ever shows them."""

from pathlib import Path

import pytest

from pbx.config.model import Agent, Configuration, Extension, Ha1, SecretSource, Trunk, TrunkAuth, User
from pbx.config.secrets import list_sources, make_digest, open_secrets
from pbx.core.ids import SeededIds
from pbx.core.problems import ConfigurationErrors


def make(tmp_path: Path) -> Configuration:
    return Configuration(
        data_dir=tmp_path / "var",
        extensions={
            "1001": Extension(number="1001", name="A"),
            "1002": Extension(number="1002", name="B", secret=SecretSource(env="PHONE_SECRET")),
            "1003": Extension(number="1003", name="C", ha1=Ha1(md5="0" * 32)),
        },
        agents={"8001": Agent(id="8001", name="A", pin=SecretSource(generated="pin", digits=6))},
        users={"admin": User(name="admin", role="administrator", token=SecretSource(generated="token-admin"))},
    )


ENVIRONMENT = {"PHONE_SECRET": "s3cret"}


def test_generated_secrets_are_made_once_and_shown_once(tmp_path: Path) -> None:
    configuration = make(tmp_path)
    shown: dict[str, str] = {}
    first = open_secrets(configuration, SeededIds(1), environment=ENVIRONMENT, show=shown.__setitem__)
    assert set(shown) == {"extension-1001", "pin", "token-admin"}
    assert shown["pin"].isdigit() and len(shown["pin"]) == 6
    assert len(shown["token-admin"]) == 32
    again: dict[str, str] = {}
    second = open_secrets(configuration, SeededIds(2), environment=ENVIRONMENT, show=again.__setitem__)
    assert again == {} and second.made == {}
    for name in shown:
        assert second.reveal(SecretSource(generated=name)) == first.reveal(SecretSource(generated=name)) == shown[name]
        path = tmp_path / "var" / "secrets" / name
        assert path.read_text() == shown[name] + "\n"
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "var" / "secrets").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "var" / "secrets").iterdir()) == sorted(shown)


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    secrets = open_secrets(make(tmp_path), SeededIds(1), environment=ENVIRONMENT)
    text = repr(secrets) + str(secrets) + repr(secrets.values) + repr(secrets.made)
    for value in (*secrets.values.values(), *secrets.made.values()):
        assert value.get_secret_value() not in text
    assert "0" * 32 not in repr(make(tmp_path).extensions["1003"])
    assert "s3cret" not in repr(secrets.digest(make(tmp_path).extensions["1002"], "tandem"))


def test_digest_is_that_of_the_password(tmp_path: Path) -> None:
    configuration = make(tmp_path)
    secrets = open_secrets(configuration, SeededIds(1), environment=ENVIRONMENT)
    # md5("1002:tandem:s3cret"), computed with md5sum
    assert secrets.digest(configuration.extensions["1002"], "tandem") == make_digest("1002", "tandem", "s3cret")
    assert make_digest("Mufasa", "http-auth@example.org", "Circle of Life").md5 == "3d78807defe7de2157e2b0b6573a855f"
    assert secrets.digest(configuration.extensions["1003"], "tandem") == ("0" * 32, "")


def test_everything_missing_is_told_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    configuration = make(tmp_path)
    trunk = Trunk(name="a", host="h", auth=TrunkAuth(username="u", secret=SecretSource(file=tmp_path / "gone")))
    configuration = configuration.model_copy(update={"trunks": {"a": trunk}})
    with pytest.raises(ConfigurationErrors) as caught:
        open_secrets(configuration, SeededIds(1), environment={})
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        ("extensions.1002.secret", "the environment variable PHONE_SECRET is not set"),
        ("trunks.a.auth.secret", f"there is no file {tmp_path / 'gone'}"),
    ]
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        ("secret\n", 0o600, None),
        ("secret\nmore\n", 0o640, None),
        ("\n", 0o600, "is empty"),
        ("secret\n", 0o644, "can be read or written by everybody; make it 0600"),
    ],
)
def test_secret_files(tmp_path: Path, content: str, mode: int, complaint: str | None) -> None:
    path = tmp_path / "password"
    path.write_text(content)
    path.chmod(mode)
    source = SecretSource(file=path)
    trunk = Trunk(name="a", host="h", auth=TrunkAuth(username="u", secret=source))
    configuration = Configuration(data_dir=tmp_path, trunks={"a": trunk})
    if complaint is None:
        assert open_secrets(configuration, SeededIds(1), environment={}).reveal(source) == "secret"
    else:
        with pytest.raises(ConfigurationErrors, match=complaint):
            open_secrets(configuration, SeededIds(1), environment={})


def test_a_disabled_trunk_needs_none() -> None:
    auth = TrunkAuth(username="u", secret=SecretSource(env="X"))
    trunks = {"a": Trunk(name="a", host="h", auth=auth, enabled=False), "b": Trunk(name="b", host="h", auth=auth)}
    assert [place for place, _ in list_sources(Configuration(trunks=trunks))] == ["trunks.b.auth.secret"]
