"""Where the `cashpay` command begins: Ctrl-C is heard from its first moment, in which the libraries are read."""

import gc
import sys


def main() -> None:
    """Run the command."""
    try:
        from cashpay_pipeline.cli import app

        app(prog_name="cashpay")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # or Python would look through all the libraries for garbage before it ends


if __name__ == "__main__":
    main()
