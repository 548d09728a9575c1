"""An adapted and folded model is a stock model, and converters keep its outputs."""

import importlib.util

import numpy as np
import pytest

from mtnet_tf import FewShotCrossentropy, MetaLearner, fold, networks

SHAPE, WAYS = (12, 12, 1), 3


@pytest.fixture(scope="module")
def adapted():
    """An adapted model and query images."""
    learner = MetaLearner(networks.convolutional_network(SHAPE, WAYS, num_filters=4), 0.3)
    learner.compile("adam", FewShotCrossentropy(1), jit_compile=False)
    for cell in (learner.model.layers[0], learner.model.layers[-1]):
        cell.transform.assign(np.random.default_rng(0).normal(size=cell.transform.shape))
    x = np.random.default_rng(1).random((8, *SHAPE)).astype("float32")
    return learner.adapt(x[:3], np.arange(3)), x[3:]


def needs(module, extra):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs the converter: pip install '.[{extra}]'")


def test_folded_adapted_model_is_stock_and_answers_the_same(adapted):
    model, x = adapted
    folded = fold(model)
    assert all(type(layer).__module__.startswith("keras") for layer in folded.layers)
    np.testing.assert_allclose(folded(x), model(x), atol=1e-5)


@pytest.mark.filterwarnings("default")  # warnings of the converters
def test_litert_answers_the_same(adapted, tmp_path):
    needs("ai_edge_litert", "litert")
    from ai_edge_litert.interpreter import Interpreter

    model, x = adapted
    fold(model).export(tmp_path / "model.tflite", format="litert", verbose=False)
    run = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner()
    (name,) = run.get_input_details()
    (answers,) = run(**{name: x}).values()
    np.testing.assert_allclose(answers, model(x), atol=1e-5)


@pytest.mark.filterwarnings("default")
def test_onnx_answers_the_same(adapted, tmp_path):
    needs("tf2onnx", "onnx")
    import onnxruntime

    model, x = adapted
    folded = fold(model)
    folded(x)  # Keras can export a model to ONNX only after it was called
    folded.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (answers,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(answers, model(x), atol=1e-5)
