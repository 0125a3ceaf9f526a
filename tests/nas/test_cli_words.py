"""What commands print for programs is JSON, whatever the facts hold."""

from __future__ import annotations

import json
import math

import pytest

from nas.cli_words import print_json


def test_numbers_that_are_not_finite_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"rows": [(1, math.nan, -math.inf)], "word": "nan", "best": 0.5, "none": None, "yes": True})
    found = json.loads(capsys.readouterr().out)
    assert found == {"rows": [[1, None, None]], "word": "nan", "best": 0.5, "none": None, "yes": True}
