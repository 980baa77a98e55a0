"""`python -m pii_blur` is the same command as `pii-blur`."""

import sys

if __name__ == "__main__":
    from pii_blur.cli import main

    sys.exit(main())
