"""The paper's tables as commands: rows, files and published numbers.

May import: `methods`, `resolving`, `mtnet_tf`, `data_prep.io`.
"""

from maml_baselines.tables.records import Estimate, Row
from maml_baselines.tables.write import LACKING_FLAGS, methods_of, settings_of, write_table

__all__ = [
    "LACKING_FLAGS",
    "Estimate",
    "Row",
    "methods_of",
    "settings_of",
    "write_table",
]
