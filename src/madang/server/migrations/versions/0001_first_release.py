"""Where databases of the first release stand. New ones are made from the tables themselves and begin at the newest."""

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There is nothing before it."""


def downgrade() -> None:
    """There is nothing before it."""
