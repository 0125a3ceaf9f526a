"""Kept weights that were damaged are refused in words, whichever bit it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxy_trainer.rebuild import load_arrays


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_the_directory_is_refused_or_harmless(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, kernel=np.arange(6, dtype=np.float32))
    whole = path.read_bytes()
    refusals = []
    for at in range(whole.index(b"PK\x01\x02"), len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << bit
        path.write_bytes(data)
        try:
            found = load_arrays(path)
        except ValueError as error:
            refusals.append(str(error))
        else:
            np.testing.assert_array_equal(found.get("kernel", np.arange(6)), np.arange(6))
    assert refusals
    assert all("not a whole file of arrays" in each for each in refusals)
