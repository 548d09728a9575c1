"""TODO maml_baselines.metric."""

__all__ = []
