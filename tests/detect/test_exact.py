"""Values that are known, in the forms in which texts have them."""

from __future__ import annotations

import unicodedata

import pytest

from agentguard.detect.exact import Exact


@pytest.mark.parametrize("name", ["José Núñez", "김민수", "Ångström"])
@pytest.mark.parametrize("known", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_composed_and_decomposed_are_one_name(name, known, written):
    """A name is found whole whether its letters are composed, as on most systems, or not."""
    text = unicodedata.normalize(written, f"to {name}, today")
    (found,) = Exact([("name", unicodedata.normalize(known, name))]).find(text)
    assert text[found.start : found.end] == unicodedata.normalize(written, name)


@pytest.mark.parametrize("written", ["Jane_Doe", "jane__doe", "jane-doe"])
def test_a_name_in_a_files_name(written):
    """Underscores are between the words of a name as well as spaces."""
    (found,) = Exact([("name", "Jane Doe")]).find(f"see {written}.pdf")
    assert (found.start, found.end) == (4, 4 + len(written))
