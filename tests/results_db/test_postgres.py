"""What a connection to PostgreSQL is told, whatever its address says."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from results_db.errors import NoDatabase
from results_db.store import Store

KEPT = {"TimeZone": "UTC", "lock_timeout": "30s", "idle_in_transaction_session_timeout": "15s"}


@pytest.mark.parametrize("options", ["", "&options=-csearch_path%3Dpg_catalog%2Cpublic%20-clock_timeout%3D0"])
def test_options_of_the_address_take_nothing_away(postgres: Any, options: str) -> None:
    """Without these settings a driver that stands still in a transaction would block all others for ever."""
    Store.create(url := postgres.new()).close()
    with Store.open(url + options) as store, store._database.engine.connect() as connection:
        found = {name: connection.scalar(text(f"SHOW {name}")) for name in KEPT}
        path = connection.scalar(text("SHOW search_path"))

    assert found == KEPT
    assert (path == "pg_catalog,public") == bool(options)


def test_other_drivers_are_refused() -> None:
    with pytest.raises(NoDatabase, match=r"expected postgresql\+psycopg://"):
        Store.open("postgresql+psycopg2://me@host/db")
