import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from mtnet_tf import FewShotCrossentropy, MetaLearner, TWDense, networks
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.experiments import Settings
from mtnet_tf.experiments import run_folder as runs
from mtnet_tf.pictures.few_shot_classifier import FewShotClassifier
from mtnet_tf.pictures.image_preparation import Preparation
from mtnet_tf.pictures.prediction import find_support, predict_pictures

SHAPE, WAYS = (12, 12, 1), 4
LABELS = ["column", "row", "stairs"]


def draw(label, side=30, shift=0, ink=(0, 0, 0), paper=(255, 255, 255)):
    """A drawing of any size and colours, uint8 [side, side, 3]."""
    y, x = np.mgrid[:side, :side] / side - shift / side
    on = {"column": abs(x - 0.5) < 0.1, "row": abs(y - 0.5) < 0.1, "stairs": abs(x - y) < 0.12}
    return np.where(on[label][..., None], ink, paper).astype("uint8")


def new_learner():
    """Untrained; with many inner steps it learns these drawings nevertheless."""
    model = networks.dense_image_network(SHAPE, WAYS, norm="None", cell_options={"mask": None})
    for weight in model.weights:
        if weight.name == "kernel":
            weight.assign(keras.initializers.GlorotUniform(1)(weight.shape))
    learner = MetaLearner(model, 0.1, 12)
    learner.compile("adam", FewShotCrossentropy(1), run_eagerly=True)
    return learner


def learner_with_softmax(loss="sparse_categorical_crossentropy"):
    """Untrained, its outputs are probabilities."""
    head = [keras.layers.Flatten(), TWDense(WAYS, activation="softmax", mask=None)]
    learner = MetaLearner(keras.Sequential([keras.Input(SHAPE), *head]), 0.5, 20)
    learner.compile("adam", loss, run_eagerly=True)
    return learner


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    run = runs.Run(tmp_path_factory.mktemp("runs") / "run")
    run.start(Settings(data_source="omniglot"), "main.py")
    run.save(new_learner())
    return run.path


@pytest.fixture(scope="module")
def fitted(run_folder):
    pictures = [draw(label, shift=s) for label in LABELS for s in (0, 2)][:-1]
    labels = [label for label in LABELS for _ in range(2)][:-1]  # uneven shots
    return FewShotClassifier(run_folder, invert=True).fit(pictures, labels)


def test_classifier_learns_string_labels_from_a_few_drawings(fitted):
    assert fitted.classes_.tolist() == LABELS
    queries = [draw(label, side, 1, (40, 0, 90)) for label in LABELS for side in (12, 57, 100)]
    truth = np.repeat(LABELS, 3)
    assert fitted.score(queries, truth) == 1.0
    assert fitted.predict(queries).tolist() == truth.tolist()


def test_probabilities_of_fewer_ways_than_the_models_sum_to_one(fitted):
    probabilities = fitted.predict_proba([draw("row"), draw("column")])
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


def test_outputs_that_are_probabilities_are_not_softmaxed_again():
    pictures, labels = [draw(label) for label in ("row", "stairs", "column")], ["a", "b", "c"]
    learner = learner_with_softmax()
    classifier = FewShotClassifier(learner, invert=True, drawings=True).fit(pictures, labels)
    adapter = Adapter(learner)  # of all the model's classes, whose learned ones sum to less than 1
    x = classifier.preparation.load(pictures, True)[None]
    full = adapter.predict(classifier._adapted, x)[0].numpy()[:, :3]
    assert full.sum(1).max() < 1 - 1e-4
    found = classifier.predict_proba(pictures)
    np.testing.assert_allclose(found, full / full.sum(1, keepdims=True), rtol=1e-5)


def test_a_loss_on_one_hot_labels_raises_an_error():
    with pytest.raises(ValueError, match="must accept class numbers.* categorical_crossentropy, "):
        FewShotClassifier(learner_with_softmax("categorical_crossentropy"))


def test_files_of_any_mode_give_the_same_result_as_arrays(fitted, tmp_path):
    pixels = draw("stairs")
    modes = ("1", "L", "RGB", "RGBA", "P")
    for mode in modes:
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{mode}.png")
    found = fitted.predict_proba([tmp_path / f"{mode}.png" for mode in modes])
    np.testing.assert_allclose(found, fitted.predict_proba([pixels] * len(modes)), rtol=1e-6)


def test_inversion_is_detected_and_a_warning_tells_it(run_folder):
    dark = {"ink": (250, 240, 240), "paper": (10, 10, 30)}
    found = []
    for colours, sentence in (({}, "dark ink on light paper"), (dark, "light ink on dark paper")):
        classifier = FewShotClassifier(run_folder)
        with pytest.warns(UserWarning, match=f"All 3 support images show {sentence}"):
            classifier.fit([draw(label, **colours) for label in LABELS], LABELS)
        found.append(classifier.predict_proba([draw("row", **colours)]))
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_inversion_is_never_guessed(run_folder):
    disagreeing = [draw("row"), draw("column", ink=(255,) * 3, paper=(0,) * 3)]
    half = np.zeros((20, 20), "uint8")
    half[:10] = 255
    for pictures in (disagreeing, [half, half]):
        with pytest.raises(ValueError, match="`invert` must be True .* or False"):
            FewShotClassifier(run_folder).fit(pictures, ["a", "b"])


def test_photographs_are_not_inverted(rng):
    preparation = Preparation.of_kind((8, 8, 3))
    assert preparation.inverts([])[0] is False
    white = np.full((16, 16, 3), 255, "uint8")
    assert preparation.load([white]).min() == 1.0


def test_classifier_accepts_a_learner():
    pictures = [draw(label) for label in LABELS]
    classifier = FewShotClassifier(new_learner(), invert=True, drawings=True)
    assert classifier.fit(pictures, [7, 8, 9]).predict(pictures).tolist() == [7, 8, 9]


def test_images_and_labels_may_be_iterators(fitted, run_folder):
    classifier = FewShotClassifier(run_folder, invert=True)
    classifier.fit((draw(label) for label in LABELS), iter(LABELS))
    assert classifier.classes_.tolist() == LABELS
    assert classifier.predict(draw(label) for label in LABELS).shape == (3,)


def test_one_image_gives_one_label(fitted, tmp_path):
    pixels = draw("row")
    Image.fromarray(pixels).save(tmp_path / "row.png")
    forms = [pixels, pixels[..., 0], pixels[..., :1], Image.fromarray(pixels), pixels[..., 0] > 100]
    forms += [
        tmp_path / "row.png",
        str(tmp_path / "row.png"),
        pixels[..., 0].astype("uint16") * 257,
    ]
    for picture in forms:
        assert fitted.predict(picture).tolist() == ["row"]
        assert fitted.predict_proba(picture).shape == (1, 3)
        np.testing.assert_array_equal(
            fitted.predict_proba(picture), fitted.predict_proba([picture])
        )
        assert fitted.score(picture, "row") == fitted.score([picture], ["row"]) == 1.0


def test_several_images_give_a_label_each(fitted):
    pictures = [draw(label)[..., 0] for label in LABELS]
    for several in (np.stack(pictures), np.stack(pictures)[..., None], iter(pictures)):
        assert fitted.predict(several).tolist() == LABELS
    assert fitted.score(np.stack(pictures), LABELS) == 1.0


def test_support_images_may_be_of_pillow(run_folder):
    pictures = [Image.fromarray(draw(label)) for label in LABELS]
    classifier = FewShotClassifier(run_folder, invert=True).fit(pictures, LABELS)
    assert classifier.predict(pictures).tolist() == LABELS


def test_images_are_resized_with_the_filter_of_the_run(run_folder, tmp_path):
    assert FewShotClassifier(run_folder).preparation.resampling == "nearest"
    shutil.copytree(run_folder, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["data"] = {"resampling": "lanczos"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    preparation = FewShotClassifier(tmp_path / "run").preparation
    assert preparation.drawings and preparation.describe()["resampling"] == "lanczos"
    pictures = [draw("stairs")]
    nearest = FewShotClassifier(run_folder).preparation.load(pictures)
    assert np.any(preparation.load(pictures) != nearest)


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        ([draw("row")] * 2, ["a", "a"], "2 to 4 classes.* Received: 1 classes"),
        ([draw("row")] * 5, list("abcde"), "2 to 4 classes.* Received: 5 classes"),
        ([draw("row")] * 2, ["a"], "`labels` must contain one label for each"),
        ([], [], "at least one path or array"),
        ([draw("row")] * 2, ["a", None], "all strings, or all numbers .* Received: .*None"),
        ([draw("row")] * 2, [1, "1"], "all strings, or all numbers .* Received: .*'1'"),
        ([draw("row")] * 3, [1.0, np.nan, 2.0], "all numbers other than NaN"),
        ([draw("row")] * 2, None, "all strings, or all numbers .* Received: .*None"),
        ([draw("row")] * 2, "ab", "`labels` must contain one label for each"),
        (None, ["a", "b"], "at least one path or array. Received: None"),
        ([np.zeros((4, 4, 2), "uint8")] * 2, ["a", "b"], "An array must be an image, uint8"),
        (["nowhere.png"] * 2, ["a", "b"], "Cannot read the image"),
    ],
)
def test_wrong_support_sets_raise_an_error(run_folder, pictures, labels, message):
    with pytest.raises(ValueError, match=message):
        FewShotClassifier(run_folder).fit(pictures, labels)


def test_other_wrong_arguments_raise_an_error(run_folder, fitted, tmp_path):
    for call, message in (
        (lambda: FewShotClassifier(tmp_path / "none"), "No trained run in .*Train one first"),
        (lambda: FewShotClassifier(run_folder, invert="yes"), "`invert` must be one of"),
        (lambda: FewShotClassifier(run_folder).predict([draw("row")]), "Call `fit` first"),
        (lambda: fitted.predict([]), "at least one path or array"),
        (lambda: fitted.predict("query.png"), "Cannot read the image `query.png`"),
        (lambda: fitted.predict(np.zeros([12, 12, 12], "uint8")), "which is ambiguous"),
        (lambda: fitted.predict(np.zeros([12, 12])), "Received: float64 .*astype"),
        (lambda: fitted.score([draw("row")], ["circle"]), "unknown among them: .'circle'"),
        (lambda: Preparation.of_run(Settings(), (1,)), "trained on images"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.fixture
def folders(tmp_path):
    for label in LABELS:
        (tmp_path / "support" / label).mkdir(parents=True)
        for shift in (0, 2):
            Image.fromarray(draw(label, shift=shift)).save(
                tmp_path / "support" / label / f"{shift}.png"
            )
    (tmp_path / "query").mkdir()
    for label in LABELS:
        Image.fromarray(draw(label, 64)).save(tmp_path / "query" / f"{label}.jpg")
    return tmp_path


def test_folders_give_a_table_and_a_contact_sheet(run_folder, folders):
    support, query, sheet = folders / "support", folders / "query", folders / "out" / "sheet.png"
    found, text = predict_pictures(run_folder, support, query, sheet=sheet)
    assert [(p.path.stem, p.label) for p in found] == [(label, label) for label in LABELS]
    assert "dark ink on light paper" in text and f"{found[0].probability:.1%}" in text
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in sheet.parent.iterdir()] == ["sheet.png"]
    one, _ = predict_pictures(run_folder, support, query / "row.jpg", sheet=sheet, invert=True)
    assert [p.label for p in one] == ["row"]
    _, text = predict_pictures(run_folder, support, query / "row.jpg")
    assert text.endswith(f"Contact sheet: {run_folder / 'contact_sheet.png'}")


def test_support_images_are_in_the_folder_of_their_label_and_not_hidden(folders):
    support = folders / "support"
    expected = find_support(support)
    (support / "row" / ".thumbs").mkdir()
    for hidden in (".thumbs/x.png", ".y.png"):
        Image.fromarray(draw("row")).save(support / "row" / hidden)
    assert find_support(support) == expected and len(expected) == 6
    Image.fromarray(draw("row")).save(support / "loose.png")
    with pytest.raises(ValueError, match="every image in the folder .* loose.png next to"):
        find_support(support)


def test_wrong_folders_raise_an_error(run_folder, folders):
    support, query = folders / "support", folders / "query"
    (folders / "empty").mkdir()
    for s, q, message in (
        (folders / "none", query, "`support` must be a folder"),
        (folders / "empty", query, "a folder of images for each label"),
        (folders, query, "`support` must contain images. Received: .*empty"),
        (support, folders / "none", "`query` must be an image or a folder"),
        (support, folders / "empty", "`query` must contain images"),
    ):
        with pytest.raises(ValueError, match=message):
            predict_pictures(run_folder, s, q)
    (query / "row.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(ValueError, match="row.jpg. is not a complete image"):
        predict_pictures(run_folder, support, query)


def test_labels_may_have_any_name(run_folder, folders):
    names = [os.fsdecode(b"row\xff"), "Column", 'a\n"b",$x$']
    for label, name in zip(LABELS, names, strict=True):
        (folders / "support" / label).rename(folders / "support" / name)
    shutil.copytree(folders / "support" / "Column", folders / "support" / "column")
    (folders / "support" / "__MACOSX").mkdir()
    found, text = predict_pictures(run_folder, folders / "support", folders / "query")
    assert len(found) == 3 and {p.label for p in found} <= {*names, "column"}
    text.encode("utf-8")
    assert len(text.splitlines()) == 5  # inversion, three images, contact sheet
    assert r"a\n" in text or r"row\udcff" in text


def test_a_tilde_in_any_path_stands_for_the_home_folder(run_folder, folders, monkeypatch):
    monkeypatch.setenv("HOME", str(folders))
    shutil.copytree(run_folder, folders / "run")
    found, text = predict_pictures("~/run", "~/support", "~/query/row.jpg", sheet="~/sheet.png")
    assert [p.label for p in found] == ["row"] and str(folders / "sheet.png") in text
    assert (folders / "sheet.png").is_file()
    classifier = FewShotClassifier("~/run", invert=True)
    pictures = [f"~/support/{label}/0.png" for label in LABELS]
    assert classifier.fit(pictures, LABELS).predict("~/query/row.jpg").tolist() == ["row"]
