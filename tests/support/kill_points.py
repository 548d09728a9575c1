"""Kills a preparation at each of its operations on files, and runs it again.

    python tests/support/kill_points.py FOLDER STEP NUM_IMAGES ARGUMENT...

A child process runs `python -m data_prep ARGUMENT...`, where {} in an argument stands for a new
folder of results. It ends without clean-up right before its n-th operation on files in that folder,
for n = 1, 1 + STEP, 1 + 2 STEP, ... until a run has fewer operations. After each kill, the visible
folders must be complete. After the next run, all folders must be complete, and nothing else may be
left. Prints the number of kills.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from data_prep import load_packed
from data_prep.__main__ import main
from data_prep.io.locks import LOCK_NAME

KILLED = 137


def in_child(function):
    """Runs `function` in a child process and returns the exit status."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = function()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(arguments, results, kill_at=None):
    """Runs the command line; ends the process right before an operation in `results`."""
    count = 0

    def watch(event, args):
        nonlocal count
        touches = event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
        if touches and args and isinstance(args[0], str | Path) and str(results) in str(args[0]):
            count += 1
            if count == kill_at:
                os._exit(KILLED)

    if kill_at is not None:
        sys.addaudithook(watch)
    with Path(os.devnull).open("w") as sys.stdout:
        return main([argument.replace("{}", str(results)) for argument in arguments])


def contents(results):
    """Returns a digest of each visible file."""
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(results).parts)
    }


def check(arguments, expected, results):
    """Exits unless visible folders are complete and a second run succeeds and deletes the rest."""
    left = contents(results) if results.exists() else {}
    tops = {name.split("/")[0] for name in left}
    whole = {name: digest for name, digest in expected.items() if name.split("/")[0] in tops}
    if left != whole:
        sys.exit(f"incomplete: {sorted(whole.items() ^ left.items())}")
    if in_child(lambda: run(arguments, results)) != 0:
        sys.exit("the second run failed")
    if contents(results) != expected:
        sys.exit(f"the second run gave other files: {contents(results).keys()}")
    hidden = [str(p) for p in results.rglob(".data_prep*") if p.name != LOCK_NAME]
    hidden += [str(p) for p in results.rglob(".*.data_prep*")]
    if any(".data_prep.json" not in name for name in hidden):
        sys.exit(f"left behind: {hidden}")


def kill_everywhere(folder, step, num_images, arguments):
    """Returns the number of kills."""
    reference = folder / "reference"
    in_child(lambda: run(arguments, reference))
    expected = contents(reference)
    packed = [load_packed(path.parent) for path in reference.rglob("index.json")]
    if sum(len(part.images) for part in packed) != num_images:
        sys.exit(f"the first run made {expected.keys()}")
    results = folder / "results"
    for num_kills, kill_at in enumerate(range(1, 10_000, step)):
        status = in_child(lambda at=kill_at: run(arguments, results, at))
        if status == 0:
            return num_kills
        if status != KILLED:
            sys.exit(f"ended with {status}")
        check(arguments, expected, results)
        shutil.rmtree(results, ignore_errors=True)
    return None


if __name__ == "__main__":
    kills = kill_everywhere(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    sys.stderr.write(f"{kills}\n")
