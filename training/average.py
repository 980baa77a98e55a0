"""Write the mean of two checkpoints: `python -m training.average A.pth B.pth MEAN.pth`.

Runs that started from the same weights and went on with other data end close to each other; half way between them the
network is often better than either (Wortsman et al., "Model soups", ICML 2022), and forgets less of the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from training.network import Network, load_weights


def mean(one: Path, other: Path) -> dict[str, Tensor]:
    """Return the mean of two states of runs or flat state dicts.

    Raises:
        RuntimeError: a weight is missing, unknown or of another shape.
    """
    states = []
    for file in (one, other):
        network = Network()
        load_weights(network, file)
        states.append(network.state_dict())
    first, second = states
    return {
        name: (weights + second[name]) / 2 if weights.is_floating_point() else weights
        for name, weights in first.items()
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("one", "other", "target"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    torch.save(mean(arguments.one, arguments.other), arguments.target)


if __name__ == "__main__":
    main()
