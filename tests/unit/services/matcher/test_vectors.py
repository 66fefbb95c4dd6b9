"""Vectors in eight bits: nearly as exact, in a quarter of the memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.vectors import BLOCK_ROWS, Table


def units(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 1_000))
def test_cosines_are_off_by_what_rounding_each_dimension_can_make_at_most(
    count: int, dimensions: int, seed: int
) -> None:
    rows = units(count, dimensions, seed)
    query = units(1, dimensions, seed + 1)[0]
    found = Table.of(rows).cosines(query)
    # Half a step in each dimension, all in the query's direction.
    limit = np.abs(rows).max(axis=1) / 254 * np.abs(query).sum() + 1e-5
    assert (np.abs(found - rows @ query) <= limit).all()


def test_the_nearest_of_many_stay_the_nearest() -> None:
    rows, query = units(3 * BLOCK_ROWS + 7, 256), units(1, 256, 9)[0]
    table = Table.of(rows)
    found = table.cosines(query)
    assert found == pytest.approx(rows @ query, abs=0.002)
    assert found.argmax() == (rows @ query).argmax()
    assert table.nbytes < rows.nbytes / 3.8


def test_a_vector_without_direction_is_like_nothing() -> None:
    rows = np.zeros((2, 8), dtype=np.float32)
    assert Table.of(rows).cosines(units(1, 8)[0]) == pytest.approx([0, 0])
    assert Table.of(np.zeros((0, 8), dtype=np.float32)).cosines(units(1, 8)[0]).shape == (0,)


def test_rows_are_picked_and_joined_in_the_order_asked_for() -> None:
    rows, query = units(6, 32), units(1, 32, 5)[0]
    table = Table.of(rows[:4]).joined(Table.of(rows[4:]))
    assert table.dimensions == 32
    assert table.picked([5, 0, 0]).cosines(query) == pytest.approx(table.cosines(query)[[5, 0, 0]])
