"""Published numbers, per cent of right answers or mean squared error.

For each row two numbers: what the MT-net paper's table prints, and what the paper that proposed
the system (or the one named in `NOTES`) prints itself. Missing where there is none.
"""

# (data source, ways) -> {method: (the MT-net paper's table, elsewhere)}
PUBLISHED = {
    ("omniglot", 5): {
        "mtnet": ("99.5 ± 0.3", ""),
        "tnet": ("99.4 ± 0.3", ""),
        "maml": ("98.7 ± 0.4", "98.7 ± 0.4"),
        "fomaml": ("", "98.3 ± 0.5"),
        "metasgd": ("99.53 ± 0.26", "99.53 ± 0.26"),
        "matching": ("98.1", "98.1"),
        "prototypical": ("97.4", "98.8"),
        "map-ssvm": ("98.6", "98.6"),
        "reptile": ("", "97.68 ± 0.04"),
    },
    ("omniglot", 20): {
        "mtnet": ("96.2 ± 0.4", ""),
        "tnet": ("96.1 ± 0.3", ""),
        "maml": ("95.8 ± 0.3", "95.8 ± 0.3"),
        "fomaml": ("", "89.4 ± 0.5"),
        "metasgd": ("95.93 ± 0.38", "95.93 ± 0.38"),
        "matching": ("93.8", "93.8"),
        "prototypical": ("92.0", "96.0"),
        "map-ssvm": ("95.4", "95.4"),
        "reptile": ("", "89.43 ± 0.14"),
        "anil": ("", "96.2 ± 0.5"),
        "maml++": ("", "97.65 ± 0.05"),
    },
    ("miniimagenet", 5): {
        "mtnet": ("51.70 ± 1.84", ""),
        "tnet": ("50.86 ± 1.82", ""),
        "maml": ("48.70 ± 1.84", "48.70 ± 1.84"),
        "fomaml": ("", "48.07 ± 1.75"),
        "metasgd": ("50.47 ± 1.87", "50.47 ± 1.87"),
        "finetune": ("28.86 ± 0.54", "28.86 ± 0.54"),
        "nearest": ("41.08 ± 0.70", "41.08 ± 0.70"),
        "matching": ("", "43.40 ± 0.78"),
        "matching-fce": ("43.56 ± 0.84", "43.56 ± 0.84"),
        "prototypical": ("46.61 ± 0.78", "49.42 ± 0.78"),
        "map-ssvm": ("50.32 ± 0.80", "50.32 ± 0.80"),
        "lstm": ("43.44 ± 0.77", "43.44 ± 0.77"),
        "llama": ("49.40 ± 1.83", "49.40 ± 1.83"),
        "reptile": ("", "49.97 ± 0.32"),
        "anil": ("", "46.7 ± 0.4"),
        "maml++": ("", "52.15 ± 0.26"),
        "metacurvature": ("", "54.23 ± 0.88"),
        "warp": ("", "52.3 ± 0.8"),
    },
    ("sinusoid", None): {
        "maml": ("0.71 ± 0.07", ""),
        "metasgd": ("0.53 ± 0.09", "0.53 ± 0.09"),
        "mnet-full": ("0.63 ± 0.07", ""),
        "mnet": ("0.60 ± 0.06", ""),
        "tnet": ("0.56 ± 0.06", ""),
        "mtnet-full": ("0.51 ± 0.05", ""),
        "mtnet": ("0.49 ± 0.05", ""),
    },
}
NOTES = """\
"Elsewhere": fomaml and reptile (with transduction) as printed by Nichol et al. 2018; fomaml on
MiniImagenet by Finn et al. 2017; fine-tune, nearest neighbour and both Matching Networks on
MiniImagenet by Ravi & Larochelle 2017; every other system by the paper that proposed it, whose
network, shots and queries in training may differ."""

# Inner steps after which the MT-net paper evaluates (section 6.4); it does not say for sinusoids.
EVALUATED_AFTER = {
    ("omniglot", 5): 3,
    ("omniglot", 20): 5,
    ("miniimagenet", 5): 10,
    ("sinusoid", None): 1,
}
