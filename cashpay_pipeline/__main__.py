"""Where the `cashpay` command begins: Ctrl-C is heard from its first moment, in which the libraries are read."""

import sys


def main() -> None:
    """Run the command."""
    try:
        from cashpay_pipeline.cli import app

        app(prog_name="cashpay")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
