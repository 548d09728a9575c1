"""TODO maml_baselines.tables."""

from maml_baselines.tables.write import methods_of, settings_of, write_table

__all__ = [
    "methods_of",
    "settings_of",
    "write_table",
]
