"""Methods that compare embeddings, one file per method, and the functions that build them.

May import: `mtnet_tf`.
"""

from maml_baselines.metric import builders

__all__ = ["builders"]
