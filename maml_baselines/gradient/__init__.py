"""TODO maml_baselines.gradient."""

__all__ = []
