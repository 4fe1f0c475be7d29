"""The configuration that ships works, its schemas are current, and every key says what it is for."""

import inspect
from pathlib import Path

import pytest
from pydantic import BaseModel

from pbx.cli.schemas import format_schemas
from pbx.config.base import KEY
from pbx.config.descriptions import read_chinese, read_field_docs
from pbx.config.loader import FILE_KINDS, load
from pbx.config.model import Configuration
from pbx.config.schema import list_models

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sample() -> Configuration:
    return load(ROOT / "config")


def test_sample_holds_what_it_promises(sample: Configuration) -> None:
    assert set(sample.trunks) == {"carrier-a", "carrier-b"}
    assert sample.trunks["carrier-a"].networks and sample.trunks["carrier-b"].registration
    assert set(sample.extensions) == {"1001", "1002", "1003", "1004"}
    assert len(sample.agents) == 4
    assert set(sample.queues) == {"support", "sales", "vip"}
    assert sample.calendars["office"].public_holidays is not None


def test_there_is_a_sample_of_every_kind_with_its_schema() -> None:
    for kind in FILE_KINDS:
        first = (ROOT / "config" / f"{kind}.yaml").read_text("utf-8").splitlines()[0]
        assert first == f"# yaml-language-server: $schema=schemas/{kind}.schema.json"


@pytest.mark.parametrize("model", list(list_models()), ids=lambda model: model.__name__)
def test_every_field_is_documented(model: type[BaseModel]) -> None:
    docs = read_field_docs(model)
    assert [name for name in model.model_fields if not docs.get(name)] == []
    assert inspect.getdoc(model)


def test_chinese_is_complete() -> None:
    wanted = {
        model.__name__: {"", *(name for name, info in model.model_fields.items() if info.json_schema_extra != KEY)}
        for model in list_models()
        if model.model_fields
    }
    assert {name: set(texts) for name, texts in read_chinese().items()} == wanted
    assert all(text for texts in read_chinese().values() for text in texts.values())


def test_no_key_field_is_offered() -> None:
    keys = {
        (model.__name__, name)
        for model in list_models()
        for name, info in model.model_fields.items()
        if info.json_schema_extra == KEY
    }
    assert ("Queue", "name") in keys and ("Extension", "number") in keys
    assert '"from_key"' not in "".join(format_schemas().values())


def test_configuration_is_frozen(sample: Configuration) -> None:
    with pytest.raises(ValueError, match="frozen"):
        sample.queues["support"].max_wait = 1.0  # type: ignore[misc]


def test_paths_start_from_the_folder(sample: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sample.flows == ROOT / "ivr_flows"
    assert str(sample.data_folder({})) == "var"
    assert str(sample.data_folder({"TANDEM_HOME": "/srv/t"})) == "/srv/t"
    assert sample.database_url({"TANDEM_HOME": "/srv/t"}) == "sqlite:////srv/t/tandem.db"
    assert str(sample.recording_folder({"TANDEM_HOME": "/srv/t"})) == "/srv/t/recordings"
