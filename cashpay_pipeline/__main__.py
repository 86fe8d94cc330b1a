"""Where the `cashpay` command begins: Ctrl-C is heard from its first moment, in which the libraries are read."""

import gc
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command."""
    # Closed by who started us, as by `>&-`: the next file opened, a database, would be taken for it.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - to the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    try:
        from cashpay_pipeline.cli import app

        app(prog_name="cashpay")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # or Python would look through all the libraries for garbage before it ends


if __name__ == "__main__":
    main()
