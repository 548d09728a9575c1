import functools
import hashlib
import http.server
import re
import sys
import threading

import pytest

from data_prep import DataError, load_packed, prepare_omniglot
from data_prep.omniglot import originals
from data_prep.omniglot.originals import CHARACTERS, MD5
from support.archives import NUM_CHARACTERS, PARTS, write_archives


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves tiny archives instead of the official ones; returns their folder."""
    folder = write_archives(tmp_path / "server")
    for part in PARTS:
        digest = hashlib.md5((folder / f"{part}.zip").read_bytes()).hexdigest()
        monkeypatch.setitem(MD5, part, digest)
        monkeypatch.setitem(CHARACTERS, part, NUM_CHARACTERS[part])
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever).start()
        url = f"http://127.0.0.1:{httpd.server_port}"
        monkeypatch.setattr(originals, "DOWNLOAD_URL", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        yield folder
        httpd.shutdown()


def test_missing_archives_are_downloaded_next_to_the_results(server, tmp_path):
    packed = load_packed(prepare_omniglot(tmp_path / "data"))
    assert len(packed.images) == 100
    kept = sorted(path.name for path in (tmp_path / "data" / "omniglot").iterdir())
    assert kept == [f"{part}.zip" for part in PARTS]


@pytest.mark.parametrize("part", PARTS)
def test_a_download_shows_a_progress_bar_on_a_terminal(server, tmp_path, monkeypatch, capsys, part):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    prepare_omniglot(tmp_path / "data")
    printed = capsys.readouterr().err
    assert f"Downloading {part}.zip: 100%" in printed
    kilobytes = (server / f"{part}.zip").stat().st_size / 1000
    assert f"{kilobytes:.1f}k/{kilobytes:.1f}k" in printed


def test_a_download_that_ends_early_is_deleted(server, tmp_path, monkeypatch):
    def send_half(self, source, outputfile):
        data = source.read()
        outputfile.write(data[: len(data) // 2])

    monkeypatch.setattr(QuietHandler, "copyfile", send_half)
    with pytest.raises(DataError, match=r"`images_background.zip` was not found.*IncompleteRead"):
        prepare_omniglot(tmp_path / "data")
    assert list((tmp_path / "data" / "omniglot").iterdir()) == []


def test_a_download_with_another_checksum_is_deleted(server, tmp_path):
    (server / "images_background.zip").write_bytes(b"a login page")
    md5 = hashlib.md5(b"a login page").hexdigest()
    with pytest.raises(DataError, match=f"must have MD5 .* Received: {md5}"):
        prepare_omniglot(tmp_path / "data")
    assert list((tmp_path / "data" / "omniglot").iterdir()) == []


def test_a_local_archive_needs_no_checksum(server, tmp_path, monkeypatch):
    monkeypatch.setitem(MD5, "images_background", "0" * 32)
    (tmp_path / "data").mkdir()
    (server / "images_background.zip").rename(tmp_path / "data" / "images_background.zip")
    assert len(load_packed(prepare_omniglot(tmp_path / "data")).images) == 100


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_the_message_without_a_network_is_one_sentence_with_instructions(
    server, tmp_path, monkeypatch, url
):
    monkeypatch.setattr(originals, "DOWNLOAD_URL", url)
    with pytest.raises(DataError) as caught:
        prepare_omniglot(tmp_path / "data")
    sentence = str(caught.value)
    assert re.search(
        r"put images_background.zip and images_evaluation.zip from https://github.com/"
        r"brendenlake/omniglot .*into `.*data/omniglot`.*`sources`.*`synthetic=True`",
        sentence,
    )
    assert "\n" not in sentence


def test_an_archive_that_the_server_lacks_is_named(server, tmp_path):
    (server / "images_evaluation.zip").unlink()
    with pytest.raises(
        DataError, match=r"`images_evaluation.zip` was not found and cannot be downloaded.*404"
    ):
        prepare_omniglot(tmp_path / "data")
