"""Published numbers: accuracies in per cent with one shot, mean squared errors with ten shots."""

from maml_baselines.tables.records import Estimate

Table = dict[tuple[str, int | None], dict[str, Estimate]]


def _table(texts: dict[tuple[str, int | None], dict[str, str]]) -> Table:
    """The numbers of a table, from the text printed in the paper."""
    return {
        column: {method: Estimate.parse(text) for method, text in cells.items()}
        for column, cells in texts.items()
    }


# Tables 1 and 3 of the MT-net paper: (data source, number of ways) -> {method: number}.
PUBLISHED = _table(
    {
        ("omniglot", 5): {
            "mtnet": "99.5 ± 0.3",
            "tnet": "99.4 ± 0.3",
            "maml": "98.7 ± 0.4",
            "metasgd": "99.53 ± 0.26",
            "matching": "98.1",
            "prototypical": "97.4",
            "map-ssvm": "98.6",
        },
        ("omniglot", 20): {
            "mtnet": "96.2 ± 0.4",
            "tnet": "96.1 ± 0.3",
            "maml": "95.8 ± 0.3",
            "metasgd": "95.93 ± 0.38",
            "matching": "93.8",
            "prototypical": "92.0",
            "map-ssvm": "95.4",
        },
        ("miniimagenet", 5): {
            "mtnet": "51.70 ± 1.84",
            "tnet": "50.86 ± 1.82",
            "maml": "48.70 ± 1.84",
            "metasgd": "50.47 ± 1.87",
            "finetune": "28.86 ± 0.54",
            "nearest": "41.08 ± 0.70",
            "matching-fce": "43.56 ± 0.84",
            "prototypical": "46.61 ± 0.78",
            "map-ssvm": "50.32 ± 0.80",
            "lstm": "43.44 ± 0.77",
            "llama": "49.40 ± 1.83",
        },
        ("sinusoid", None): {
            "maml": "0.71 ± 0.07",
            "metasgd": "0.53 ± 0.09",
            "mnet-full": "0.63 ± 0.07",
            "mnet": "0.60 ± 0.06",
            "tnet": "0.56 ± 0.06",
            "mtnet-full": "0.51 ± 0.05",
            "mtnet": "0.49 ± 0.05",
        },
    }
)

# The same from the methods' own papers. MAML++: an ensemble. ANIL: standard deviation over three
# seeds. Prototypical Networks: trained with more ways. Reptile: transductive.
OWN_PAPERS = _table(
    {
        ("omniglot", 5): {
            "prototypical": "98.8",
            "matching": "98.1",
            "maml++": "99.47",
            "reptile": "97.68 ± 0.04",
            "metacurvature": "99.77 ± 0.17",
        },
        ("omniglot", 20): {
            "prototypical": "96.0",
            "matching": "93.8",
            "maml++": "97.65",
            "reptile": "89.43 ± 0.14",
            "metacurvature": "97.86 ± 0.26",
            "anil": "96.2 ± 0.5",
        },
        ("miniimagenet", 5): {
            "prototypical": "49.42 ± 0.78",
            "matching": "43.40 ± 0.78",
            "matching-fce": "43.56 ± 0.84",
            "lstm": "43.44 ± 0.77",
            "llama": "49.40 ± 1.83",
            "maml++": "52.15 ± 0.26",
            "reptile": "49.97 ± 0.32",
            "anil": "46.7 ± 0.4",
            "warp": "52.3 ± 0.8",
        },
    }
)

# Number of inner steps after which the MT-net paper evaluates (section 6.4). It gives no number for
# sinusoids.
EVALUATED_AFTER: dict[tuple[str, int | None], int] = {
    ("omniglot", 5): 3,
    ("omniglot", 20): 5,
    ("miniimagenet", 5): 10,
    ("sinusoid", None): 1,
}
