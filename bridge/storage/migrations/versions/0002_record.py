"""Whether a lesson is recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lessons that were made before are not recorded."""
    with op.batch_alter_table("lessons") as table:
        table.add_column(sa.Column("record", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Forgets which lessons are recorded."""
    with op.batch_alter_table("lessons") as table:
        table.drop_column("record")
