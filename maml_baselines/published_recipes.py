"""Published hyperparameters of the baselines, under the names of the settings.

Step sizes of classification are given per mean loss in those papers, except where their code is
Finn's; here the unit is N times that (`FewShotCrossentropy`), hence the divisions by the number of
ways. `num_test_updates` is what a paper evaluates after. What a paper does not say, or says of
another network, is the MT-net paper's recipe (`mtnet_tf.recipes`), so that rows compare methods.
"""

from mtnet_tf.experiments import IMAGES

PHOTOGRAPHS = ("miniimagenet", "folder")


def meta_sgd(datasource, num_classes):
    """Li et al. 2017: one step; rates start all the same, somewhere in [0.005, 0.1].

    No code of the authors is public; the range is quoted from second hand.
    """
    rate = 0.05 / num_classes if datasource in IMAGES else 0.05
    return {
        "update_lr": rate,
        "num_updates": 1,
        "num_test_updates": 1,
        "metatrain_iterations": 60000,
    }


def meta_curvature(datasource, num_classes):
    """Park & Oliva 2019: the defaults and the Omniglot script of the authors' code.

    They changed Finn's code, so that step sizes have the unit of this package. It has nothing for
    MiniImagenet, where MAML's settings stand.
    """
    if datasource in PHOTOGRAPHS:
        return {}
    recipe = {"num_updates": 1, "metatrain_iterations": 60000}
    if datasource == "omniglot":
        return {**recipe, "update_lr": 0.4, "meta_batch_size": 32}
    return {**recipe, "update_lr": 0.001, "meta_batch_size": 25, "metatrain_iterations": 70000}


def maml_plus_plus(datasource, num_classes):
    """Antoniou et al. 2019: five steps, 150 epochs of 500 iterations, 16 tasks, or 4 photographs.

    Rates start at 0.1 on Omniglot and 0.01 on MiniImagenet (the authors' configurations).
    """
    recipe = {"num_updates": 5, "num_test_updates": 5, "metatrain_iterations": 75000}
    if datasource == "omniglot":
        return {**recipe, "update_lr": 0.1 / num_classes, "meta_batch_size": 16}
    if datasource in PHOTOGRAPHS:
        return {**recipe, "update_lr": 0.01 / num_classes, "meta_batch_size": 4}
    return {"num_updates": 5, "num_test_updates": 5}


def reptile(datasource, num_classes):
    """Nichol et al. 2018: the commands in the authors' repository; for sinusoids their demo.

    The inner step size of pictures is that of the authors' run with plain descent (0.003 on a sum
    over 25 pictures), since the others are Adam's.
    """
    if datasource not in IMAGES:
        recipe = {"meta_lr": 0.1, "meta_batch_size": 1, "metatrain_iterations": 30000}
        return {**recipe, "update_lr": 0.02, "num_updates": 5, "num_test_updates": 32}
    recipe = {"meta_lr": 1.0, "meta_batch_size": 5, "metatrain_iterations": 100000}
    recipe |= {"update_lr": 0.075 / num_classes, "num_test_updates": 50}
    if datasource == "miniimagenet":
        return {**recipe, "num_updates": 8, "num_train_queries": 14}
    if datasource == "folder":
        return {**recipe, "num_updates": 8}
    if num_classes > 5:
        recipe |= {"num_updates": 10, "metatrain_iterations": 200000}
        return {**recipe, "num_train_queries": 9}
    return {**recipe, "num_updates": 5, "num_train_queries": 9}


def prototypical(datasource, num_classes):
    """Snell et al. 2017, sections 3.1 and 3.2: one task of more ways than in evaluation.

    The numbers that the MT-net paper prints are those of Snell's appendix for training with 5 ways
    and 15 queries: `--num_train_ways=5 --num_train_queries=15`.
    """
    ways = {
        "omniglot": {"num_train_ways": 60, "num_train_queries": 5},
        "miniimagenet": {"num_train_ways": 30, "num_train_queries": 15},
    }
    return {"meta_batch_size": 1, **ways.get(datasource, {})}


def matching(datasource, num_classes):
    """Ravi & Larochelle 2017 (their code) for photographs; Vinyals et al. 2016 give no numbers."""
    if datasource not in PHOTOGRAPHS:
        return {}
    return {"meta_batch_size": 1, "meta_lr": 1e-4, "metatrain_iterations": 75000}


def map_ssvm(datasource, num_classes):
    """Triantafillou et al. 2017 (their code): one batch of 128 pictures a step."""
    recipe = {"meta_batch_size": 1}
    if datasource == "omniglot":
        recipe |= {"num_train_ways": 16, "num_train_queries": 7, "metatrain_iterations": 20000}
    if datasource == "miniimagenet":
        recipe |= {"num_train_ways": 8, "num_train_queries": 15, "metatrain_iterations": 25000}
    return recipe


def supervised(datasource, num_classes):
    """Ravi & Larochelle 2017 (their code): batches of the 64 training classes, 30,000 steps.

    They did not run Omniglot, where batches are those of the other rows.
    """
    if datasource != "miniimagenet":
        return {}
    batch = {"num_train_ways": 64, "num_train_queries": 1, "meta_batch_size": 1}
    return {**batch, "metatrain_iterations": 30000}


def fine_tune(datasource, num_classes):
    """As `supervised`; 15 steps of descent on a new task.

    They choose the step size on validation episodes among 0.5, 0.1, 0.01, ... 1e-5, and don't say
    which won. On Omniglot's, after 1,500 iterations here, it is 0.5 (57 % against 54 and 29 %).
    `main.py --run=RUN --train=False --test_set=False --update_lr=...` tries another.
    """
    rate = 0.5 if datasource == "omniglot" else 0.01
    steps = {"num_updates": 15, "num_test_updates": 15, "update_lr": rate / num_classes}
    return {**supervised(datasource, num_classes), **steps}


def meta_lstm(datasource, num_classes):
    """Ravi & Larochelle 2017 (their code): 12 inner steps for one shot, one task a step.

    They did not run Omniglot, where the same values stand.
    """
    if datasource not in IMAGES:
        return {}
    steps = {"num_updates": 12, "num_test_updates": 12, "num_filters": 32}
    return {**steps, "meta_batch_size": 1, "metatrain_iterations": 75000}
