"""What is true of every campaign that ended, whatever struck it meanwhile: read from the database alone."""

from __future__ import annotations

from controller.protocol import Controller, G
from nas.campaign import CampaignSpace
from nas.check import problems
from nas.replay import strange_proposals
from nas.rules import CampaignRules
from results_db.records import ENDED
from results_db.store import Store


def violations(
    store: Store, name: str, rules: CampaignRules, space: CampaignSpace[G], controller: Controller[G]
) -> list[str]:
    """What is wrong with a campaign that should have ended and been released; empty when all is well.

    The last check asks the fresh `controller` for every proposal anew.
    """
    whole = store.whole(name)
    wrong = problems(whole, rules, space)
    if len(whole.trials) != rules.trials:
        wrong.append(f"{len(whole.trials)} trials, expected {rules.trials}")
    if left := [trial.number for trial in whole.trials if trial.status not in ENDED]:
        wrong.append(f"not ended: {left}")
    if store.fence(name).pid is not None:
        wrong.append("it was not released")
    return wrong or [*strange_proposals(store, name, rules, space, controller)]
