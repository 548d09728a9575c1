"""The table of bad inputs: how a valid input is changed, and part of the error message."""

import os
import tarfile

from support.archives import encode_png, part_files, scribble
from support.fault_archives import (
    DRAWING,
    PART,
    add_twice,
    archive_bytes,
    flip_a_byte,
    patched,
    tar_link,
    tar_of,
    with_members,
    zip_with_link,
)
from support.fault_images import IMAGE_FAULTS
from support.faults import (
    IMAGE_OF,
    JPEG,
    JUNK,
    PET,
    add,
    broken_link,
    data_dir_is_a_file,
    empty,
    file_as_source,
    foreign,
    full,
    give_both_forms_of_a_part,
    link_to_file,
    link_to_folder,
    loop,
    moved,
    no_source,
    read_only,
    remove,
    rename,
    rename_a_class,
    rows,
    share_a_class,
    unpack_omniglot,
    with_csv,
    with_image,
)
from support.jpegs import csv_text, encode, jpegs, photo

CUT_OFF = encode_png(scribble(1))[:60]
WHOLE_CLASS = {name: None for name in part_files(PART) if "Braille" in name}
LONG = "n" * 250
PNG_AS_JPEG = encode(photo(1), "PNG")
N01 = jpegs()[JPEG]
WINDOWS = b"\xef\xbb\xbf" + csv_text(["n04"]).replace("\n", "\r\n").encode()

# Name -> a function that changes a valid input, and part of the error message; None: there is no
# error, and everything is packed.
OMNIGLOT = {
    "web page in place of an archive": (
        archive_bytes(lambda d: b"<html>404</html>"),
        "is not a zip",
    ),
    "zero-byte archive": (archive_bytes(lambda d: b""), "is not a zip or tar archive"),
    "truncated archive": (archive_bytes(lambda d: d[: len(d) // 2]), "truncated or damaged zip"),
    "archive with a flipped byte": (flip_a_byte, "0000_01.png.*is damaged.*CRC"),
    "archive with a lying size": (patched(24, b"\x10\0\0\0"), "0000_01.png.*is damaged"),
    "archive of unknown compression": (patched(10, b"\x63\0"), "0000_01.png.*is damaged"),
    "encrypted archive": (patched(8, b"\x01\0"), "is encrypted"),
    "absolute name in an archive": (with_members({"/etc/x.png": b"x"}), "/etc/x.png.*points out"),
    "`..` in an archive": (with_members({f"{PART}/../../x.png": b"x"}), "points outside"),
    "drive letter in an archive": (with_members({"C:\\x.png": b"x"}), "points outside"),
    "`..` of Windows in an archive": (with_members({"..\\x.png": b"x"}), "points outside"),
    "symbolic link in an archive": (zip_with_link, "link.png.*symbolic link"),
    "archive member that fills the memory": (
        with_members({DRAWING: bytes(10**7)}),
        "10000000 bytes long.*at most 16384",
    ),
    "same member twice": (add_twice, "0000_01.png. 2 times"),
    "zero-byte image": (with_members({DRAWING: b""}), "0000_01.png.*empty"),
    "truncated image": (with_members({DRAWING: CUT_OFF}), "0000_01.png.*not a complete PNG"),
    "truncated image in a folder": (unpack_omniglot({DRAWING: CUT_OFF}), "not a complete PNG"),
    "image of another size": (
        with_members({DRAWING: encode_png(scribble(1, (28, 28)))}),
        "must be 105x105.*Received: 28x28",
    ),
    "image of another mode": (
        with_members({DRAWING: encode_png(scribble(1, mode="RGB"))}),
        "1-bit.*mode RGB",
    ),
    "character missing": (with_members(WHOLE_CLASS), "must contain 3 characters. Received: 2"),
    "drawing missing": (with_members({DRAWING: None}), "must contain 20 drawings. Received: 19"),
    "drawing too many": (
        with_members({DRAWING.replace("_01", "_21"): encode_png(scribble(1))}),
        "must contain 20 drawings. Received: 21",
    ),
    "image too deep": (
        with_members({f"{PART}/Greek/a/b/0.png": encode_png(scribble(1))}),
        "must be at <alphabet>/<character>/<drawing>.png",
    ),
    "one archive missing": (remove(f"{PART}.zip"), "images_background is missing"),
    "same part twice": (give_both_forms_of_a_part, "both contain images_background"),
    "same class in both": (share_a_class, "both contain the character `Greek/character01`"),
    "both parts in one": (
        with_members(part_files("images_evaluation")),
        "must contain one of.*Received: images_background and images_evaluation",
    ),
    "empty folder": (empty, "must contain one of.*Received: neither"),
    "no such folder": (no_source, "does not exist"),
    "text file in place of a folder": (file_as_source, "is not a zip or tar archive"),
    "files of the system": (with_members({f"{PART}/Greek/{n}": d for n, d in JUNK.items()}), None),
    "linked archive": (link_to_file(f"{PART}.zip"), None),
    "something else where results go": (foreign("omniglot_resized"), "in the way"),
}
MINIIMAGENET = {
    "image missing": (remove(JPEG), "Not all 24 .* 1 missing .train/n01/n0100000001.jpg"),
    "images under ImageNet's names": (
        lambda place: [remove("images")(place), add({"n01_247.JPEG": N01})(place)],
        "24 missing.*1 others were found .`n01_247.JPEG`",
    ),
    "different images of one name": (
        add({"other/n0100000001.jpg": encode(photo(5))}),
        "1 file names belong to several different images.*n0100000001.jpg",
    ),
    "same image at two places": (add({"other/n0100000001.jpg": N01}), None),
    "image nobody wants": (add({"other/n0900000001.jpg": N01}), None),
    "PNG under a JPEG's name": (add({JPEG: PNG_AS_JPEG}), None),
    "CSV file missing": (remove("val.csv"), "val.csv. is missing.*--csv_dir"),
    "CSV file is a folder": (
        lambda place: [remove("val.csv")(place), (place.source / "val.csv").mkdir()],
        "val.csv. must be a text file. Received: a folder",
    ),
    "zero-byte CSV file": (with_csv(b""), "columns filename,label. Received: an empty file"),
    "CSV file with only a header": (with_csv(b"filename,label\n"), "must list images"),
    "CSV file without header": (with_csv(b"a.jpg,n04\n"), "Received: a.jpg,n04"),
    "CSV file with a column too many": (with_csv(rows("a.jpg,n04,1")), "line 2: 'a.jpg,n04,1'"),
    "CSV file with an empty cell": (with_csv(rows("a.jpg,")), "line 2: 'a.jpg,'"),
    "CSV file in UTF-16": (with_csv("filename,label\n".encode("utf-16")), "must be UTF-8"),
    "CSV file with an open quote": (with_csv(rows('"a.jpg,n04')), "Received: line 2"),
    "CSV file with zero bytes": (
        with_csv(rows("a\0.jpg,n04")),
        "Received: line 2",
    ),
    "CSV file that leads outside": (
        with_csv(rows("a.jpg,../../n04")),
        "must contain plain file names.*'../../n04'",
    ),
    "CSV file that lists an image twice": (
        with_csv(rows("a.jpg,n04", "a.jpg,n04")),
        "must list each image once. Received: a twice",
    ),
    "CSV file of Windows": (
        with_csv(WINDOWS),
        None,
    ),
    "image of two classes": (
        with_csv(rows("n0100000001.jpg,n04")),
        "must belong to one class.*under n01 and n04",
    ),
    "class in two splits": (
        with_csv(csv_text(["n04", "n01"]).encode()),
        'A class must be in one split only.*"n01" in train and val',
    ),
    "class with a unicode name": (rename_a_class("n04 \u00e9\u4e2d"), None),
    "class with a very long name": (
        rename_a_class(LONG),
        "must contain plain file names.*line 2: 'nnn",
    ),
    "absolute name in an archive": (tar_of(tarfile.TarInfo("/etc/x.jpg")), "points outside"),
    "`..` in an archive": (tar_of(tarfile.TarInfo("../../x.jpg")), "points outside"),
    "symbolic link in an archive": (tar_of(tar_link(tarfile.SYMTYPE)), "is a symbolic link"),
    "hard link in an archive": (tar_of(tar_link(tarfile.LNKTYPE)), "is not a plain file"),
    "device in an archive": (tar_of(tar_link(tarfile.CHRTYPE)), "is not a plain file"),
    "sound archive": (tar_of(), None),
    "truncated archive": (tar_of(cut=3000), "truncated or damaged tar archive"),
    "truncated compressed archive": (tar_of(cut=-500, mode="w:gz"), "truncated or damaged tar"),
    "zero-byte archive": (tar_of(cut=0), "is not a zip or tar archive"),
    "empty folder": (empty, "train.csv. is missing"),
    "no such folder": (no_source, "does not exist"),
    "text file in place of a folder": (file_as_source, "is not a zip or tar archive"),
    "files of the system": (add(JUNK), None),
    "linked image": (link_to_file(JPEG), None),
    "linked folder": (link_to_folder("images/0"), None),
    "linked folder that leads back": (loop("images/0/again"), None),
    "broken link": (broken_link(JPEG), "unreadable.*is a broken symbolic link"),
    "something else where results go": (foreign("miniImagenet"), "in the way"),
}
FOLDER = {
    "empty folder": (empty, "must contain class folders of images.*Received: none"),
    "no such folder": (no_source, "must be a folder of class folders. Received: nothing there"),
    "text file in place of a folder": (file_as_source, "Received: a file"),
    "no images": (
        lambda place: [empty(place), add({"cat/notes.txt": b"x"})(place)],
        "Received: 1 other files",
    ),
    "images without class": (rename(PET, "loose.png"), "1 are in .* itself .loose.png"),
    "two classes": (remove("emu"), "at least three classes.*Received: 2 .cat, dog."),
    "class of one image": (remove(PET), 'at least 2 images. Received: "cat" has 1'),
    "split missing": (
        moved({"cat": "train/cat", "dog": "train/dog", "emu": "test/emu"}),
        "must contain either the folders train, val and test.*Received: test, train",
    ),
    "images without class in a split": (
        moved({"cat": "train/cat", "dog/0.png": "val/0.png", "emu": "test/emu", "dog": "val/dog"}),
        "1 are in .*/val` itself.*val/0.png",
    ),
    "class in two splits": (
        moved({"cat": "train/a", "dog": "val/a", "emu": "test/a"}),
        'one split only.*"a" in train and val',
    ),
    "results within the folder": (
        lambda place: setattr(place, "data_dir", place.source / "cache"),
        "must be outside of .*--packed_dir",
    ),
    "other files among the images": (add({"cat/notes.txt": b"x"}), None),
    "files of the system": (add(JUNK), None),
    "unicode names": (rename("cat", "katze \u00e9\u4e2d\U0001f408"), None),
    "very long names": (rename("cat", LONG), None),
    "a line break in a name": (rename("cat", "cat\ndog"), None),
    "a name that is no text": (rename("cat", os.fsdecode(b"cat\xff")), None),
    "a name that is no text, at fault": (
        lambda place: [
            rename(PET, os.fsdecode(b"cat/\xff\n.png"))(place),
            add({os.fsdecode(b"cat/\xff\n.png"): b""})(place),
        ],
        r"`cat/\\udcff\\n.png` in .* is empty",
    ),
    "linked image": (link_to_file(PET), None),
    "linked class folder": (link_to_folder("cat"), None),
    "linked folder that leads back": (loop("cat/again"), None),
    "broken link": (broken_link(PET), "is a broken symbolic link"),
    "many bad images": (
        add({f"{c}/0.png": b"" for c in ("cat", "dog", "emu")}),
        "`cat/0.png`.* is empty.*2 more of 6 images cannot be used: dog/0.png, emu/0.png",
    ),
}
RESULTS = {
    "file where results go": (data_dir_is_a_file, "Cannot read or write"),
    "read-only disk": (read_only, "Cannot read or write.*Read-only file system"),
    "full disk": (full, "Cannot read or write.*No space left on device"),
}


def _table():
    for command, faults in (
        ("omniglot", OMNIGLOT),
        ("miniimagenet", MINIIMAGENET),
        ("folder", FOLDER),
    ):
        for name, (spoil, says) in {**faults, **RESULTS}.items():
            yield f"{command}: {name}", (command, spoil, says)
        if command in IMAGE_OF:
            for name, (data, says) in IMAGE_FAULTS.items():
                yield f"{command}: {name}", (command, with_image(command, data), says)


TABLE = dict(_table())
