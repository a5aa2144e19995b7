"""Each reader recognises the files of its own framework and none of the others'."""

import pytest

from statestore.sources.readers import known_readers
from tests.sources.stores import FILES, copied, opened

NAMES = sorted(str(path.relative_to(FILES)) for path in FILES.glob("*/*") if path.suffix in (".sqlite", ".db"))
READERS = list(known_readers().values())


def _owner(name: str) -> str:
    names = {
        "agno/": "Agno sessions", "crewai/checkpoints": "CrewAI checkpoints", "crewai/flow": "CrewAI flow states",
        "google_adk/": "Google ADK sessions", "openai_agents/": "OpenAI Agents sessions",
        "langgraph/store": "LangGraph memories", "langgraph/": "LangGraph checkpoints",
    }  # fmt: skip
    return next((owner for start, owner in names.items() if name.startswith(start)), "")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_recognised_by_its_own_frameworks_reader_alone(name):
    with opened(name) as rows:
        tables = rows.tables()

    assert [reader.name for reader in READERS if reader.recognises(tables)] == [_owner(name)] * bool(_owner(name))


def test_there_are_files_of_each_framework():
    ours = {"Descartes agents", "Descartes agents, of init", "Descartes agent history"}
    assert {_owner(name) for name in NAMES} | ours == {reader.name for reader in READERS}


@pytest.mark.parametrize("name", [name for name in NAMES if _owner(name)])
def test_a_table_of_the_right_name_with_other_columns_is_no_ones(name):
    with copied(name) as rows:
        other = {table: {"id": "TEXT", "data": "TEXT"} for table in rows.tables()}

    assert not any(reader.recognises(other) for reader in READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_an_empty_database_is_no_ones(reader):
    assert not reader.recognises({})
