"""Facts about the real Omniglot; needs its archives."""

import time

import numpy as np
import pytest

from data_prep import find_overlap, load_packed, prepare_omniglot

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory, omniglot_source):
    """`PackedImages` of the real Omniglot, prepared once for this file."""
    folder = prepare_omniglot(tmp_path_factory.mktemp("omniglot"), [omniglot_source])
    return load_packed(folder, verify=True)


def test_it_has_the_published_numbers_and_ink_on_paper(omniglot):
    assert omniglot.images.shape == (32460, 28, 28, 1)
    assert len(omniglot.class_names) == 1623
    assert len({name.split("/")[0] for name in omniglot.class_names}) == 50
    assert np.unique(omniglot.images).tolist() == [0, 255]
    assert 0.07 < omniglot.images.mean() / 255 < 0.09  # ink, not paper


def test_its_one_duplicate_drawing_is_known(omniglot):
    (pair,) = omniglot.details["duplicates"]
    assert {name.rsplit("/", 1)[0] for name in pair} == {"Braille/character01"}


def test_the_search_for_overlap_finds_the_duplicate_and_no_leak(omniglot):
    numbers = np.arange(len(omniglot.class_names))
    start = time.perf_counter()
    overlap = find_overlap(
        {"train": (omniglot, numbers[:1200]), "test": (omniglot, numbers[1200:])}
    )
    assert time.perf_counter() - start < 10
    # At 28x28 a few more drawings coincide, each with one of its own class.
    (pair,) = omniglot.details["duplicates"]
    assert ("train", pair[0], "train", pair[1]) in overlap.within
    assert len(overlap.within) < 10
    assert not overlap.leaks
