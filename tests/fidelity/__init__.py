"""Compares this package with reference numbers computed by the authors' own code."""
