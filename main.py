"""The command `mtnet-tf`, for a checkout: `python main.py --datasource=omniglot --use_T --use_M`.

Everything is in `mtnet_tf_cli.py`.
"""

from mtnet_tf_cli import run_main

if __name__ == "__main__":
    run_main()
