"""Packaging of mtnet_tf."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "mtnet_tf/_version.py").read_text())[1]

setup(
    name="mtnet-tf",
    version=VERSION,
    description="MT-nets and T-nets (Lee & Choi, ICML 2018) in TensorFlow 2 and Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["mtnet_tf*", "data_prep*", "maml_baselines*"]),
    package_data={name: ["py.typed"] for name in ("mtnet_tf", "data_prep", "maml_baselines")},
    py_modules=["mtnet_tf_cli"],
    entry_points={"console_scripts": ["mtnet-tf = mtnet_tf_cli:run_main"]},
    install_requires=[
        "tensorflow>=2.19,<2.22",
        "keras>=3.13,<3.16",
        "tensorflow-probability>=0.25,<0.26",
        "tf-keras>=2.19,<2.22",
        # TensorFlow Probability imports distutils, which left Python in 3.12.
        'setuptools>=77; python_version >= "3.12"',
        "numpy>=2.0",
        "absl-py>=2.1",
        "pillow>=11",
        "tqdm>=4.66",
        "filelock>=3.30",
        "platformdirs>=4.3",
        "pooch>=1.8",
        "requests>=2.32",
        "tabulate>=0.9",
        "matplotlib>=3.9",
        "tensorboard>=2.19",
    ],
    extras_require={
        "test": ["pytest>=8.3", "pytest-xdist>=3.6", "scipy>=1.14"],
        "litert": ["ai-edge-litert>=2.3"],
        "onnx": ["tf2onnx>=1.17", "onnx>=1.23", "onnxruntime>=1.31"],
        "dev": ["ruff==0.17.6", "pyright==1.1.414", "pre-commit>=4"],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
