"""The mutants of `scripts/mutate.py`, which run by hand: they must not rot meanwhile."""

from collections import Counter

from scripts.mutate import MUTANTS, REPOSITORY, TRITON_MUTANTS


def test_every_mutant_still_finds_its_text() -> None:
    """Kills a line that was rewritten and is no longer broken on purpose by anybody."""
    every = {*MUTANTS, *TRITON_MUTANTS}
    stale = [m.name for m in every if (REPOSITORY / m.file).read_text().count(m.old) != 1]
    assert stale == []
    assert all((REPOSITORY / m.tests).is_file() for m in every)
    assert all(m.old != m.new for m in every)


def test_mutants_can_be_asked_for_by_name() -> None:
    """Kills two mutants of one file that answer to one name."""
    counted = Counter((m.file, m.name) for m in MUTANTS)
    assert max(counted.values()) == 1
