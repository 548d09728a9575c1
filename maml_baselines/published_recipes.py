"""Published hyperparameters of the baselines, under the names of the settings.

Step sizes of classification are given per mean loss in those papers, except where their code is
Finn's; here the unit is N times that (`FewShotCrossentropy`), hence the divisions by the number of
ways. `num_test_updates` is what a paper evaluates after. What a paper does not say, or says of
another network, is the MT-net paper's recipe (`mtnet_tf.recipes`), so that rows compare methods.
"""

from mtnet_tf.experiments import IMAGES

PHOTOGRAPHS = ("miniimagenet", "folder")


def meta_sgd(data_source, num_ways):
    """Li et al. 2017: one step; rates start all the same, somewhere in [0.005, 0.1].

    No code of the authors is public; the range is quoted from second hand.
    """
    rate = 0.05 / num_ways if data_source in IMAGES else 0.05
    return {
        "step_size": rate,
        "num_inner_steps": 1,
        "num_test_inner_steps": 1,
        "num_meta_iterations": 60000,
    }


def meta_curvature(data_source, num_ways):
    """Park & Oliva 2019: the defaults and the Omniglot script of the authors' code.

    They changed Finn's code, so that step sizes have the unit of this package. It has nothing for
    MiniImagenet, where MAML's settings stand.
    """
    if data_source in PHOTOGRAPHS:
        return {}
    recipe = {"num_inner_steps": 1, "num_meta_iterations": 60000}
    if data_source == "omniglot":
        return {**recipe, "step_size": 0.4, "meta_batch_size": 32}
    return {**recipe, "step_size": 0.001, "meta_batch_size": 25, "num_meta_iterations": 70000}


def maml_plus_plus(data_source, num_ways):
    """Antoniou et al. 2019: five steps, 150 epochs of 500 iterations, 16 tasks, or 4 photographs.

    Rates start at 0.1 on Omniglot and 0.01 on MiniImagenet (the authors' configurations).
    """
    recipe = {"num_inner_steps": 5, "num_test_inner_steps": 5, "num_meta_iterations": 75000}
    if data_source == "omniglot":
        return {**recipe, "step_size": 0.1 / num_ways, "meta_batch_size": 16}
    if data_source in PHOTOGRAPHS:
        return {**recipe, "step_size": 0.01 / num_ways, "meta_batch_size": 4}
    return {"num_inner_steps": 5, "num_test_inner_steps": 5}


def reptile(data_source, num_ways):
    """Nichol et al. 2018: the commands in the authors' repository; for sinusoids their demo.

    The inner step size of pictures is that of the authors' run with plain descent (0.003 on a sum
    over 25 pictures), since the others are Adam's.
    """
    if data_source not in IMAGES:
        recipe = {"meta_learning_rate": 0.1, "meta_batch_size": 1, "num_meta_iterations": 30000}
        return {**recipe, "step_size": 0.02, "num_inner_steps": 5, "num_test_inner_steps": 32}
    recipe = {"meta_learning_rate": 1.0, "meta_batch_size": 5, "num_meta_iterations": 100000}
    recipe |= {"step_size": 0.075 / num_ways, "num_test_inner_steps": 50}
    if data_source == "miniimagenet":
        return {**recipe, "num_inner_steps": 8, "num_train_queries": 14}
    if data_source == "folder":
        return {**recipe, "num_inner_steps": 8}
    if num_ways > 5:
        recipe |= {"num_inner_steps": 10, "num_meta_iterations": 200000}
        return {**recipe, "num_train_queries": 9}
    return {**recipe, "num_inner_steps": 5, "num_train_queries": 9}


def prototypical(data_source, num_ways):
    """Snell et al. 2017, sections 3.1 and 3.2: one task of more ways than in evaluation.

    The numbers that the MT-net paper prints are those of Snell's appendix for training with 5 ways
    and 15 queries: `--num_train_ways=5 --num_train_queries=15`.
    """
    ways = {
        "omniglot": {"num_train_ways": 60, "num_train_queries": 5},
        "miniimagenet": {"num_train_ways": 30, "num_train_queries": 15},
    }
    return {"meta_batch_size": 1, **ways.get(data_source, {})}


def matching(data_source, num_ways):
    """Ravi & Larochelle 2017 (their code) for photographs; Vinyals et al. 2016 give no numbers."""
    if data_source not in PHOTOGRAPHS:
        return {}
    return {"meta_batch_size": 1, "meta_learning_rate": 1e-4, "num_meta_iterations": 75000}


def map_ssvm(data_source, num_ways):
    """Triantafillou et al. 2017 (their code): one batch of 128 pictures a step."""
    recipe = {"meta_batch_size": 1}
    if data_source == "omniglot":
        recipe |= {"num_train_ways": 16, "num_train_queries": 7, "num_meta_iterations": 20000}
    if data_source == "miniimagenet":
        recipe |= {"num_train_ways": 8, "num_train_queries": 15, "num_meta_iterations": 25000}
    return recipe


def supervised(data_source, num_ways):
    """Ravi & Larochelle 2017 (their code): batches of the 64 training classes, 30,000 steps.

    They did not run Omniglot, where batches are those of the other rows.
    """
    if data_source != "miniimagenet":
        return {}
    batch = {"num_train_ways": 64, "num_train_queries": 1, "meta_batch_size": 1}
    return {**batch, "num_meta_iterations": 30000}


def fine_tune(data_source, num_ways):
    """As `supervised`; 15 steps of descent on a new task.

    They choose the step size on validation episodes among 0.5, 0.1, 0.01, ... 1e-5, and don't say
    which won. On Omniglot's, after 1,500 iterations here, it is 0.5 (57 % against 54 and 29 %).
    `main.py --run=RUN --train=False --test_set=False --update_lr=...` tries another.
    """
    rate = 0.5 if data_source == "omniglot" else 0.01
    steps = {"num_inner_steps": 15, "num_test_inner_steps": 15, "step_size": rate / num_ways}
    return {**supervised(data_source, num_ways), **steps}


def meta_lstm(data_source, num_ways):
    """Ravi & Larochelle 2017 (their code): 12 inner steps for one shot, one task a step.

    They did not run Omniglot, where the same values stand.
    """
    if data_source not in IMAGES:
        return {}
    steps = {"num_inner_steps": 12, "num_test_inner_steps": 12, "num_filters": 32}
    return {**steps, "meta_batch_size": 1, "num_meta_iterations": 75000}
