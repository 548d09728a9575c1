"""Methods that adapt by gradients, one file per method.

May import: `mtnet_tf`.
"""

__all__ = []
