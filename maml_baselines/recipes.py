"""Published hyperparameters of the baselines, under the names of the settings.

Step sizes of classification are given per mean loss in those papers; here the unit is N times
that (`FewShotCrossentropy`), hence the divisions by the number of ways. What a paper does not say,
or says of another network, is the MT-net paper's recipe (`mtnet_tf.recipes`).
"""

PICTURES = ("omniglot", "miniimagenet", "folder")


def meta_sgd(datasource, num_classes):
    """Li et al. 2017, section 4: one step; rates start in [0.005, 0.1], here in its middle."""
    if datasource in PICTURES:
        return {"update_lr": 0.05 / num_classes, "num_updates": 1, "metatrain_iterations": 60000}
    return {"update_lr": 0.05, "num_updates": 1, "metatrain_iterations": 60000}


def meta_curvature(datasource, num_classes):
    """Park & Oliva 2019, section 5: the settings of MAML, one step on Omniglot."""
    return {"num_updates": 5 if datasource in ("miniimagenet", "folder") else 1}


def maml_plus_plus(datasource, num_classes):
    """Antoniou et al. 2019, section 5: five steps, 150 epochs of 500 iterations.

    Rates start at 0.1 on Omniglot and 0.01 on MiniImagenet.
    """
    if datasource not in PICTURES:
        return {"num_updates": 5}
    rate = 0.1 if datasource == "omniglot" else 0.01
    return {"num_updates": 5, "metatrain_iterations": 75000, "update_lr": rate / num_classes}


def reptile(datasource, num_classes):
    """Nichol et al. 2018, tables 3 to 5: outer step size 1, five tasks.

    Sinusoids: inner step size 0.02, outer 0.1, five steps. Their inner step sizes for pictures are
    Adam's; those of plain descent are chosen here.
    """
    if datasource not in PICTURES:
        return {"meta_lr": 0.1, "meta_batch_size": 1, "update_lr": 0.02, "num_updates": 5}
    recipe = {"meta_lr": 1.0, "meta_batch_size": 5, "metatrain_iterations": 100000}
    if datasource == "omniglot":
        steps = 5 if num_classes <= 5 else 10
        return {**recipe, "num_updates": steps, "update_lr": 0.5 / num_classes}
    return {**recipe, "num_updates": 8, "update_lr": 0.05 / num_classes}


def prototypical(datasource, num_classes):
    """Snell et al. 2017, sections 3.1 and 3.2: one task of more ways than in evaluation."""
    if datasource == "omniglot":
        return {"num_train_ways": 60, "num_train_queries": 5, "meta_batch_size": 1}
    return {"num_train_ways": 30, "num_train_queries": 15, "meta_batch_size": 1}


def map_ssvm(datasource, num_classes):
    """Triantafillou et al. 2017, section 6: one batch of 16 classes with 8 pictures each."""
    return {"num_train_ways": 16, "num_train_queries": 7, "meta_batch_size": 1}


def meta_lstm(datasource, num_classes):
    """Ravi & Larochelle 2017, section 5.1: 12 inner steps for one shot, one task a step."""
    return {"num_updates": 12, "meta_batch_size": 1} if datasource in PICTURES else {}
