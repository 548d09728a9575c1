"""Preparation of a user's images, in the same way as the training images of a network."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

import numpy as np

from data_prep import load_picture
from data_prep.images import Picture, Resampling
from mtnet_tf.experiments import Settings
from mtnet_tf.pictures.one_or_several import list_pictures

# In a drawing with less paper than this, ink and paper cannot be distinguished.
_PAPER_SHARE = 0.6
INVERT = ("auto", True, False)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How the training images of a network were prepared.

    Attributes:
        image_shape: (H, W, C).
        drawings: True: strictly black and white, ink 1 on paper 0, as in Omniglot; False: grey or
            colour, unchanged, as in MiniImagenet and folders of images.
        resampling: "nearest" or "lanczos", the filter that resizes images.
    """

    image_shape: tuple[int, int, int]
    drawings: bool
    resampling: Resampling

    @classmethod
    def of_kind(
        cls, image_shape: Sequence[int], drawings: bool = False, resampling: str | None = None
    ) -> Self:
        """The preparation of drawings or of photographs.

        Args:
            image_shape: (H, W, C).
            drawings: see `Preparation`.
            resampling: None: "nearest" for drawings, as in the authors' data, else "lanczos".
        """
        usual = "nearest" if drawings else "lanczos"
        height, width, channels = image_shape
        return cls((height, width, channels), drawings, cast(Resampling, resampling or usual))

    @classmethod
    def of_run(
        cls, settings: Settings, image_shape: Sequence[int], resampling: str | None = None
    ) -> Self:
        """The preparation of a run, from its settings.

        Args:
            settings: settings of the run.
            image_shape: (H, W, C).
            resampling: the filter that resized the images of the run; None: see `of_kind`.

        Raises:
            ValueError: if the run was not trained on images.
        """
        if len(image_shape) != 3:
            raise ValueError(
                "The run must have been trained on images. "
                f"Received: a run with `data_source={settings.data_source}`."
            )
        return cls.of_kind(image_shape, settings.data_source == "omniglot", resampling)

    def load(self, pictures: Picture | Iterable[Picture], invert: bool = False) -> np.ndarray:
        """Reads images.

        Args:
            pictures: one image or several, of any size; see `FewShotClassifier`.
            invert: whether to invert light and dark.

        Returns:
            float32 [n, *image_shape], in [0, 1].

        Raises:
            ValueError: if there is no image, or one cannot be read.
        """
        loaded = [
            load_picture(p, self.image_shape, invert=invert, resampling=self.resampling)
            for p in list_pictures(pictures, self.image_shape[-1])
        ]
        return np.stack(loaded).astype("float32") / 255.0

    def inverts(self, pictures: Picture | Iterable[Picture]) -> tuple[bool, str]:
        """Whether drawings must be inverted because they show dark ink on light paper.

        Paper covers a larger part of a drawing than ink does.

        Args:
            pictures: as for `load`.

        Returns:
            Pair (whether to invert, a sentence that explains why).

        Raises:
            ValueError: if an image is ambiguous, or images disagree.
        """
        if not self.drawings:
            return False, "Images are not inverted."
        light = self.load(pictures).mean((1, 2, 3))  # the share of light pixels
        for inverts, ink, agree in (
            (True, "dark ink on light paper: they are inverted", light >= _PAPER_SHARE),
            (
                False,
                "light ink on dark paper: they are not inverted",
                light <= 1 - _PAPER_SHARE,
            ),
        ):
            if agree.all():
                return inverts, (
                    f"All {len(light)} support images show {ink}, because ink is 1 in training. "
                    f"Set `invert={inverts}` to decide this explicitly."
                )
        raise ValueError(
            "`invert` must be True (dark ink on light paper) or False (light ink on dark paper): "
            f"the images disagree or are ambiguous. Received: invert='auto', {len(light)} "
            f"images whose light parts cover {light.min():.0%} to {light.max():.0%}."
        )

    def describe(self) -> dict[str, Any]:
        """A JSON-like dict, for the metadata of an export."""
        return {
            "image_shape": list(self.image_shape),
            "range": [0.0, 1.0],
            "resampling": self.resampling,
            "ink": "1 on paper 0" if self.drawings else None,
        }
