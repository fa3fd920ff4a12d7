"""What is found of a study's data is kept beside its digests."""

from __future__ import annotations

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from tests.conftest import study

DIGESTS = {"dataset": "d", "train": "t"}


def test_facts_are_kept_and_never_compared(database: Database) -> None:
    """A study keeps the facts it was created with; others are no other data, nor none at all."""
    store = Store(database)
    facts = {"classes": ["cat", "dog"], "duplicates": {"test": 3}}
    assert facts == store.register(study(), DIGESTS, facts).data_facts
    for given in ({"classes": []}, None):
        again = store.register(study(), DIGESTS, given)
        assert (DIGESTS, facts) == (again.data_digests, again.data_facts)


def test_a_study_of_before_has_no_facts(database: Database) -> None:
    """Digests alone, as stores held them, are read as they were."""
    record = Store(database).register(study(), DIGESTS)
    assert (record.data_digests, record.data_facts) == (DIGESTS, {})
