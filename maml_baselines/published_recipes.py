"""Published hyperparameters of the baselines, as values of the fields of `Settings`.

Papers give step sizes for classification per mean loss, unless their code is based on Finn's code.
Here the loss of a task is N times the mean (`FewShotCrossentropy`), so those step sizes are divided
by the number of ways N. `num_test_inner_steps` is the number of inner steps before a paper's
evaluation. The MT-net paper's recipe (`mtnet_tf.experiments`) gives every value that a paper does
not give, or gives for another network, so that the rows of a table compare methods.
"""

from typing import Any

from mtnet_tf.experiments import IMAGES

PHOTOGRAPHS = ("miniimagenet", "folder")


def unpublished(data_source: str, num_ways: int) -> dict[str, Any]:
    """The MT-net paper's recipe for every value."""
    return {}


def meta_sgd(data_source: str, num_ways: int) -> dict[str, Any]:
    """Li et al. 2017: one inner step; all step sizes start at the same value in [0.005, 0.1].

    The authors published no code. The range is quoted from a secondary source.
    """
    rate = 0.05 / num_ways if data_source in IMAGES else 0.05
    return {
        "step_size": rate,
        "num_inner_steps": 1,
        "num_test_inner_steps": 1,
        "num_meta_iterations": 60000,
    }


def meta_curvature(data_source: str, num_ways: int) -> dict[str, Any]:
    """Park & Oliva 2019: the defaults and the Omniglot script of the authors' code.

    Their code is based on Finn's code, so its step sizes have the unit of this package. It has no
    script for MiniImagenet, where MAML's recipe is used.
    """
    if data_source in PHOTOGRAPHS:
        return {}
    recipe: dict[str, Any] = {"num_inner_steps": 1, "num_meta_iterations": 60000}
    if data_source == "omniglot":
        return {**recipe, "step_size": 0.4, "meta_batch_size": 32}
    return {**recipe, "step_size": 0.001, "meta_batch_size": 25, "num_meta_iterations": 70000}


def maml_plus_plus(data_source: str, num_ways: int) -> dict[str, Any]:
    """Antoniou et al. 2019: five inner steps, 150 epochs of 500 iterations.

    Step sizes start at 0.1 with 16 tasks per meta-step on Omniglot, and at 0.01 with 4 tasks on
    MiniImagenet (the authors' configurations).
    """
    steps = {"num_inner_steps": 5, "num_test_inner_steps": 5}
    if data_source not in IMAGES:
        return steps
    recipe = {**steps, "num_meta_iterations": 75000}
    if data_source == "omniglot":
        return {**recipe, "step_size": 0.1 / num_ways, "meta_batch_size": 16}
    return {**recipe, "step_size": 0.01 / num_ways, "meta_batch_size": 4}


def reptile(data_source: str, num_ways: int) -> dict[str, Any]:
    """Nichol et al. 2018: the commands in the authors' repository; for sinusoids their demo.

    The inner step size for images comes from the authors' run with gradient descent (0.003 on a
    sum over 25 images), because their other runs use Adam.
    """
    if data_source not in IMAGES:
        recipe = {"meta_learning_rate": 0.1, "meta_batch_size": 1, "num_meta_iterations": 30000}
        return {**recipe, "step_size": 0.02, "num_inner_steps": 5, "num_test_inner_steps": 32}
    recipe = {
        "meta_learning_rate": 1.0,
        "meta_batch_size": 5,
        "num_meta_iterations": 100000,
        "step_size": 0.075 / num_ways,
        "num_test_inner_steps": 50,
    }
    if data_source == "miniimagenet":
        return {**recipe, "num_inner_steps": 8, "num_train_queries": 14}
    if data_source == "folder":
        return {**recipe, "num_inner_steps": 8}
    if num_ways > 5:
        recipe |= {"num_inner_steps": 10, "num_meta_iterations": 200000}
        return {**recipe, "num_train_queries": 9}
    return {**recipe, "num_inner_steps": 5, "num_train_queries": 9}


def prototypical(data_source: str, num_ways: int) -> dict[str, Any]:
    """Snell et al. 2017, sections 3.1 and 3.2: one task with more ways than in evaluation.

    The MT-net paper quotes the numbers of the appendix of Snell et al. for training with 5 ways and
    15 queries: `num_train_ways=5`, `num_train_queries=15`.
    """
    ways = {
        "omniglot": {"num_train_ways": 60, "num_train_queries": 5},
        "miniimagenet": {"num_train_ways": 30, "num_train_queries": 15},
    }
    return {"meta_batch_size": 1, **ways.get(data_source, {})}


def matching(data_source: str, num_ways: int) -> dict[str, Any]:
    """Ravi & Larochelle 2017 (their code) for photographs; Vinyals et al. 2016 give no values."""
    if data_source not in PHOTOGRAPHS:
        return {}
    return {"meta_batch_size": 1, "meta_learning_rate": 1e-4, "num_meta_iterations": 75000}


def map_ssvm(data_source: str, num_ways: int) -> dict[str, Any]:
    """Triantafillou et al. 2017 (their code): one batch of 128 images per meta-step."""
    recipe: dict[str, Any] = {"meta_batch_size": 1}
    if data_source == "omniglot":
        recipe |= {"num_train_ways": 16, "num_train_queries": 7, "num_meta_iterations": 20000}
    if data_source == "miniimagenet":
        recipe |= {"num_train_ways": 8, "num_train_queries": 15, "num_meta_iterations": 25000}
    return recipe


def supervised(data_source: str, num_ways: int) -> dict[str, Any]:
    """Ravi & Larochelle 2017 (their code): batches of the 64 training classes, 30,000 steps.

    They report no results for Omniglot, where the MT-net paper's batches are used.
    """
    if data_source != "miniimagenet":
        return {}
    batch = {"num_train_ways": 64, "num_train_queries": 1, "meta_batch_size": 1}
    return {**batch, "num_meta_iterations": 30000}


def fine_tune(data_source: str, num_ways: int) -> dict[str, Any]:
    """Like `supervised`, then 15 steps of gradient descent on a new task.

    The authors choose the step size on validation episodes from 0.5, 0.1, 0.01, ..., 1e-5, and do
    not report their choice. On Omniglot, after 1,500 iterations here, 0.5 is best (accuracy 57 %;
    0.1: 54 %; 0.01: 29 %). To try another one on a trained run, evaluate with `run_dir=RUN`,
    `train=False`, `use_test_split=False` and another `step_size`.
    """
    rate = 0.5 if data_source == "omniglot" else 0.01
    steps = {"num_inner_steps": 15, "num_test_inner_steps": 15, "step_size": rate / num_ways}
    return {**supervised(data_source, num_ways), **steps}


def meta_lstm(data_source: str, num_ways: int) -> dict[str, Any]:
    """Ravi & Larochelle 2017 (their code): 12 inner steps with one shot, one task per meta-step.

    They report no results for Omniglot, where the same values are used.
    """
    if data_source not in IMAGES:
        return {}
    steps = {"num_inner_steps": 12, "num_test_inner_steps": 12, "num_filters": 32}
    return {**steps, "meta_batch_size": 1, "num_meta_iterations": 75000}
