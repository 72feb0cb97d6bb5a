"""Arrays of numpy in a request."""

from __future__ import annotations

import numpy as np
import pytest

from agentguard.caching.canonical import NoForm, packed


def test_arrays_count_by_type_shape_and_content() -> None:
    """Of numpy, which is not imported for it."""
    one = np.array([[1.0, 2.0]])
    forms = [one, one.T, one.astype("float32"), [[1.0, 2.0]], one.tobytes(), one[0, 0], 1.0]
    assert len({packed(form) for form in forms}) == len(forms)
    assert packed(one.T.copy()) == packed(one.T)
    with pytest.raises(NoForm):
        packed(np.array([object()]))
