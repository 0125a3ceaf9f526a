"""Rewards computed anew: named sets, each by its rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make their tables; nothing else changes, so that readers get along without them."""
    op.create_table(
        "reward_sets",
        sa.Column("campaign_id", sa.Integer(), sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("computed", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(label) >= 1", "labelled"),
    )
    op.create_table(
        "rewards",
        sa.Column("campaign_id", sa.Integer(), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("reward", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "label"], ["reward_sets.campaign_id", "reward_sets.label"]),
        sa.ForeignKeyConstraint(["campaign_id", "number"], ["trials.campaign_id", "trials.number"]),
        sa.CheckConstraint("reward > -1e308 AND reward < 1e308", "reward_finite"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("rewards")
    op.drop_table("reward_sets")
