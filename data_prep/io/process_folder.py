"""A temporary folder of one process, in a folder that several processes share."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from data_prep.io.atomic import host_name
from data_prep.io.locks import is_running


def process_folder(parent: Path) -> Path:
    """Creates a temporary folder of this process, and deletes those of killed processes.

    The name contains the computer and the process. Folders of other computers stay, because it is
    unknown whether their processes are running.

    Args:
        parent: where to create it; this folder is created if it is missing.

    Returns:
        The folder, which the caller deletes.

    Raises:
        OSError: if it cannot be created.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob(".process.*"):
        found = re.fullmatch(rf"\.process\.{re.escape(host_name())}\.(\d+)\.\w+", folder.name)
        if found and not is_running(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f".process.{host_name()}.{os.getpid()}.", dir=parent))
