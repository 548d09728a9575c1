"""Compiled programs on disk: only complete and unchanged ones are used."""

import os
import subprocess
import sys

import pytest

from mtnet_tf.experiments.program_store import ProgramStore

NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"
OTHER = "xla_compile_cache__3__4__XLA_CPU_JIT.pb"


def opened(root, key="key", **options):
    store = ProgramStore(root, **options)
    store.load(key)
    return store


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def entries(root, key="key"):
    return sorted((root / key).glob("xla_compile_cache__*"))


@pytest.fixture
def filled(tmp_path):
    """A store that contains the program NAME; its process has ended."""
    store = opened(tmp_path)
    (store.private / NAME).write_bytes(b"program")
    (store.private / f"{OTHER}123.tmp").write_bytes(b"incomplete")
    store.store()
    store.close()
    return tmp_path


def test_a_stored_program_is_found_by_the_next_process(filled):
    assert names(filled) == ["key"] and len(entries(filled)) == 1
    store = opened(filled)
    assert names(store.private) == [NAME]
    assert (store.private / NAME).read_bytes() == b"program"
    store.store()
    assert len(entries(filled)) == 1
    store.close()
    assert not store.private.exists()


def test_a_program_of_another_key_is_not_used(filled):
    store = opened(filled, "other")
    assert not names(store.private)
    copied = filled / "other" / entries(filled)[0].name
    copied.write_bytes(b"program")
    assert not names(opened(filled, "other").private)
    assert not copied.exists()


@pytest.mark.parametrize("damaged", [b"", b"progra", b"Program", b"program\0"])
def test_a_damaged_program_is_deleted(damaged, filled):
    (entry,) = entries(filled)
    entry.write_bytes(damaged)
    assert not names(opened(filled).private)
    assert not entry.exists()


def test_a_renamed_program_is_deleted(filled):
    (entry,) = entries(filled)
    renamed = entry.rename(entry.with_name(entry.name.replace(NAME, OTHER)))
    assert not names(opened(filled).private)
    assert not renamed.exists()


@pytest.mark.parametrize("name", ["notes.txt", NAME, f"{NAME}.old", f".partial.host.1.{NAME}.0"])
def test_foreign_files_are_neither_used_nor_deleted(name, filled):
    (filled / "key" / name).write_bytes(b"mine")
    store = opened(filled)
    assert (store.private / NAME).read_bytes() == b"program"
    assert (filled / "key" / name).read_bytes() == b"mine"


def test_programs_are_copied_where_links_are_impossible(filled, monkeypatch):
    def no_links(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert (opened(filled).private / NAME).read_bytes() == b"program"


def test_processes_that_compile_the_same_program_do_not_disturb_each_other(tmp_path):
    first, second = (opened(tmp_path) for _ in range(2))
    for store, program in ((first, b"program"), (second, b"the same, in other bytes")):
        (store.private / NAME).write_bytes(program)
        store.store()
        store.close()
    third = opened(tmp_path)
    assert names(third.private) == [NAME]


def test_the_oldest_programs_are_deleted_when_there_are_too_many(tmp_path):
    kept = {}
    for i, key in enumerate(("old", "new", "new")):
        store = opened(tmp_path, key, largest=100)
        (store.private / f"xla_compile_cache__{i}__0__XLA_CPU_JIT.pb").write_bytes(bytes(40))
        store.store()
        kept[i] = entries(tmp_path, key)
        for path in kept[i]:
            os.utime(path, (i, i))
    assert not entries(tmp_path, "old") and len(entries(tmp_path, "new")) == 2


def test_what_a_killed_process_left_is_deleted_and_never_used(tmp_path):
    code = (
        "import os, sys, pathlib; from mtnet_tf.experiments.program_store import ProgramStore\n"
        "store = ProgramStore(pathlib.Path(sys.argv[1])); store.load('key')\n"
        f"(store.private / '{NAME}').write_bytes(b'prog'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert done.returncode == -9
    assert len(names(tmp_path)) == 2
    store = opened(tmp_path)
    assert not names(store.private) and not names(tmp_path / "key")
    assert names(tmp_path) == sorted([store.private.name, "key"])
