"""Meta-trains and evaluates: `python main.py --datasource=omniglot --use_T --use_M`.

The same as the installed command `mtnet-tf`, for a checkout; see `mtnet_tf_cli.py`.
"""

from mtnet_tf_cli import run_main

if __name__ == "__main__":
    run_main()
