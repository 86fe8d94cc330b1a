"""`python -m cashpay_pipeline.simulator`: start the simulator and serve until told to stop."""

import sys

from cashpay_pipeline.simulator.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
