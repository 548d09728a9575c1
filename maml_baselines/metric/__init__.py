"""Methods that compare embeddings, one file per method.

May import: `mtnet_tf`.
"""

__all__ = []
