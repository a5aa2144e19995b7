"""Damaged files of any framework: read as far as they go, or refused in words, with nothing left beside them."""

import random
from pathlib import Path

import pytest

from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.sources import adding, mirror
from tests.faults.scale import times
from tests.sources.conftest import FILES

pytestmark = pytest.mark.django_db

FORMATS = sorted({path.parent.name for path in FILES.glob("*/*") if path.suffix in {".sqlite", ".db"}})


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Return a file with some bytes changed, or cut off."""
    data = bytearray(content)
    if dice.random() < 0.2:
        return bytes(data[: dice.randrange(len(data))])
    for _ in range(dice.choice([1, 5, 50, 500])):
        data[dice.randrange(dice.choice([0, 100, 4096]), len(data))] = dice.randrange(256)
    return bytes(data)


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("framework", FORMATS)
def test_a_damaged_file_is_mirrored_as_far_as_it_goes_or_refused_in_words(framework: str, tmp_path: Path):
    names = sorted(path for path in (FILES / framework).iterdir() if path.suffix in {".sqlite", ".db"})
    dice = random.Random(f"20261128 {framework}")
    folder = tmp_path / "damaged"
    folder.mkdir()
    refused = whole = 0
    for number in range(times(40, 3_000)):
        path = folder / f"{number}.db"
        content = damaged(dice.choice(names).read_bytes(), dice)
        path.write_bytes(content)
        try:
            source = adding.add_source(path, using=store_alias())
        except StateStoreError:
            refused += 1
        else:
            mirror.sync(source, using=store_alias())
            whole += not source.problem
        assert path.read_bytes() == content, number
        assert [found.name for found in folder.iterdir()] == [path.name], number
        path.unlink()
    assert refused > 0
    assert whole > 0
