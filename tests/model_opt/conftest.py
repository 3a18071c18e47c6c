"""Fixtures of the tests of model_opt."""

import pytest
import random_numbers


@pytest.fixture(autouse=True)
def same_numbers_in_every_order():
    """Tests are spread over processes: what one draws must not depend on which ran before it there."""
    random_numbers.restart()
