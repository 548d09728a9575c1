"""Writes docs/benchmarks.md from docs/benchmarks: `python -m benchmarks.document`."""

from pathlib import Path

from benchmarks import report

DOCS = Path(__file__).resolve().parent.parent / "docs"
INTRODUCTION = """# Benchmarks

This page is written by `python -m benchmarks.document` from the files in `docs/benchmarks`, which

    python -m benchmarks --output docs/benchmarks

writes. The other frameworks are optional: `pip install torch jax higher`. Rows of packages that are
not installed are skipped. On a GPU, the same command measures the GPU.

## How to read it

- Each contestant runs in its own process. In every round each runs for about half a second (at
  least one step), one after the other; a first round does not count. The table has the median over
  rounds and the quartiles.
- "Ratio" is the time as a multiple of ours in the same run.
- "Of the products' rate": the operations of the matrix products that a meta-step needs, counted
  analytically (`benchmarks.work.flops`), per second, as a fraction of the rate of one large product
  that is timed in the same rounds.
- "First step" is the first one in a new process, with compilation and without imports. Memory is
  the peak of the whole process, the framework included.
- A step is the meta-gradient and Adam. Episodes and the noise of the masks are random, the same for
  all contestants, and prepared before the timing: sampling is not part of a step.
- Before anything is timed, the loss and the meta-gradient of the first step are compared with ours:
  each gradient may differ by at most 5e-3 of the norm of the whole one (1e-2 more for each
  further inner step, at least 3e-2 with max pooling, 5e-2 with `--tf32`).
  A contestant that differs more has a note instead of a time. In float32, contestants agree to
  about 2e-6; a difference of about 1e-3 is one ReLU whose input is so close to zero that rounding
  decides its sign. The gradients of this package in float32 and float64 differ in the same way.
- Freed memory stays with each process (`MALLOC_MMAP_MAX_=0`), for all contestants alike.
- PyTorch runs without `torch.compile`, and TensorFlow in the original style without XLA. The latter
  computes variances without `tf.nn.moments`, whose second derivative is wrong: with it, the check
  rejects the contestant (differences of 0.2).
"""


def document(folder: Path) -> str:
    """The page about every result in a folder."""
    parts = [INTRODUCTION]
    for file in sorted(folder.glob("*.csv")):
        rows, conditions = report.read(folder, file.stem)
        parts.append(f"\n## {file.stem}\n\n{report.markdown(rows, conditions)}")
        parts.append(f"\n![{file.stem}](benchmarks/{file.stem}.png)\n")
    return "".join(parts)


if __name__ == "__main__":
    (DOCS / "benchmarks.md").write_text(document(DOCS / "benchmarks"), encoding="utf-8")
