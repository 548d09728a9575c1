"""The authors' reference numbers against ours."""
