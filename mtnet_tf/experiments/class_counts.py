"""Checks that every split has enough classes, and every class enough images, for the tasks."""

from collections.abc import Mapping, Sequence

from data_prep.io import printable
from data_prep.packed import listed
from mtnet_tf.experiments.settings import Settings


def needed_classes(settings: Settings) -> tuple[int, int, int]:
    """The smallest numbers of training, validation and test classes."""
    return settings.num_train_ways or settings.num_ways, settings.num_ways, settings.num_ways


def check_num_classes(
    settings: Settings, split: str, counts: Mapping[str, int], is_drawn: bool
) -> None:
    """Checks that a split has as many classes as a task.

    Args:
        settings: of the run.
        split: "train", "val" or "test".
        counts: number of classes of each split.
        is_drawn: whether the classes of a folder were divided at random.

    Raises:
        ValueError: states the number of classes of each split, and what to do.
    """
    name = "num_train_ways" if split == "train" and settings.num_train_ways else "num_ways"
    num_ways = getattr(settings, name)
    if counts[split] >= num_ways:
        return
    train, val, test = counts.values()
    raise ValueError(
        f"`{name}` must not exceed the {_classes(counts[split])} of the {split} split. "
        f"Received: {name}={num_ways}, with {train} train, {val} val and {test} test classes. "
        f"{_advice(settings, split, counts, is_drawn, name)}."
    )


def _advice(
    settings: Settings, split: str, counts: Mapping[str, int], is_drawn: bool, name: str
) -> str:
    num_ways, total, needed = (
        getattr(settings, name),
        sum(counts.values()),
        needed_classes(settings),
    )
    if split == "train" and 0 <= settings.num_train_classes < num_ways:
        return f"Set `num_train_classes` to {num_ways} or more, or to -1 for all"
    fewer = total // len(counts) if is_drawn else min(counts.values())
    if settings.data_source != "folder":
        more = f"Prepare more classes: at least {num_ways} are needed in each split"
    elif is_drawn:
        more = (
            f"Add {_classes(sum(needed) - total)} to `data_dir`: the splits are drawn from {total} "
            f"classes, and {sum(needed)} are needed ({needed[0]} + {needed[1]} + {needed[2]})"
        )
    else:
        more = f"Add {_classes(num_ways - counts[split])} to the {split} folder in `data_dir`"
    smallest = 2  # a task with one class has nothing to distinguish
    return f"{more}; or set `{name}={fewer}`" if smallest <= fewer < num_ways else more


def _classes(number: int) -> str:
    return "1 class" if number == 1 else f"{number} classes"


def check_num_images(
    settings: Settings, split: str, names: Sequence[str], counts: Sequence[int], num_queries: int
) -> None:
    """Checks that every class of a split has enough images for a task.

    Args:
        settings: of the run.
        split: "train", "val" or "test".
        names: of the classes of the split.
        counts: number of images of each of them.
        num_queries: Q, query images per class.

    Raises:
        ValueError: names the classes that have too few.
    """
    needed = settings.num_shots + num_queries
    small = [f'"{n}" has {count}' for n, count in zip(names, counts, strict=True) if count < needed]
    if not small:
        return
    is_own = split == "train" and settings.num_train_queries
    query_name = "num_train_queries" if is_own else "num_queries"
    raise ValueError(
        f"Every class of the {split} split must have at least {needed} images: `num_shots` = "
        f"{settings.num_shots} for the support set and `{query_name}` = {num_queries} for the "
        f"query set. Received: {printable(listed(small))}. Add images to these classes, remove the "
        "classes, or use fewer shots or queries."
    )
