"""What an export's spec says, without a network being built: the same as limits and `nas cost` count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.export.contents import facts_of, spec_of
from nas.folder import CampaignFolder
from results_db.store import Store
from search_space.catalog import MOBILE_49
from search_space.family import FAMILY

Nas = Callable[..., Any]
Written = Callable[..., Path]


def test_a_mobile_winner_is_exported_as_it_was_counted(nas: Nas, written: Written, home: Path) -> None:
    listed = {"kind": "listed", "genomes": [MOBILE_49.to_text()]}
    changes = {"space": "spinenet-mobile-49", "controller": listed, "budget": {"trials": 1}}
    assert nas("run", written(changes)).code == 0
    with Store.read(CampaignFolder(home / "small").database) as store:
        campaign, trial = store.campaign("small"), store.trial("small", 1)
        spec = spec_of(campaign, trial, facts_of(store, campaign, trial), None)
    counted = json.loads(nas("cost", "small:1", "--json").out)
    member = FAMILY["spinenet-mobile-49"]
    assert (spec.genome, spec.scaling, spec.head) == (MOBILE_49, member.scaling, member.head)
    assert spec.expected is not None
    assert (spec.expected.params, spec.expected.input_size) == (counted["backbone"]["params"], 384)
    assert spec.expected.flops == counted["backbone"]["flops"]
    assert spec.provenance["trial"] == 1
