"""Train the detector, on a processor or a GPU, from a checkpoint or from where an earlier run stopped.

`python -m training.train DATA RUN --start CHECKPOINT --until 18:30`. `RUN/state.pth` holds everything a run needs to
go on; start the same command again after a stop. SIGTERM and Ctrl-C save and stop.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from types import FrameType

import cv2
import torch
from torch.utils.data import DataLoader

from training.data import Batch, Batches
from training.group import Group, free_port
from training.loss import detection_loss
from training.network import Network, load_weights, normalise
from training.pictures import CLASSES, read_pictures
from training.run import Averaged, Log, Run, load_state, save_state
from training.schedule import Clock, Schedule, Steps, minutes_until

SAVE_EVERY = 200
"""Steps between two savings of the state."""

FROZEN_BLOCKS = 4
"""First blocks of the backbone that keep their weights: edges and colours are the same everywhere, and it is a third
faster."""

BACKBONE_RATE = 0.3
WEIGHT_DECAY = 0.02
CLIP = 10.0


class Stopper:
    """Remembers that somebody asked to stop, so that the step in hand is finished and saved."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def make_optimizer(network: Network, rate: float) -> torch.optim.Optimizer:
    """Return AdamW over what shall learn: the backbone slower, no decay of biases and norms."""
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if name.startswith("f.") and int(name.split(".")[1]) < FROZEN_BLOCKS:
            parameter.requires_grad_(False)
            continue
        groups.setdefault((name.startswith("f."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": rate * (BACKBONE_RATE if backbone else 1.0),
                "weight_decay": WEIGHT_DECAY if decays else 0.0,
            }
            for (backbone, decays), parameters in groups.items()
        ]
    )


def set_mode(network: Network) -> None:
    """Switch to training, but let batch norm use its stored statistics.

    The heads are shared by five levels whose statistics differ; normalising each level by its own batch, as training
    mode does, is not what the finished network does.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def train(run: Run, group: Group, arguments: argparse.Namespace, schedule: Schedule, began: float) -> None:
    """Take steps until the schedule ends or somebody asks to stop; the first rank decides, saves and writes the log."""
    stopper, leads, state = Stopper(), group.rank == 0, arguments.run / "state.pth"
    pictures = read_pictures(arguments.data, ("train",), arguments.labels)
    loader = DataLoader(
        Batches(pictures, arguments.seed, arguments.times / group.size, group.rank),
        batch_size=None,
        sampler=range(run.step, 1 << 30),
        num_workers=arguments.workers,
        prefetch_factor=4 if arguments.workers else None,
        worker_init_fn=_start_worker,
    )
    log = Log(arguments.run / "log.csv") if leads else None
    started, crops = time.monotonic(), 0
    for batch in loader:
        factor = group.agree(None if stopper.asked else schedule.factor(run.step))
        if factor is None:
            break
        for parameters, rate in zip(run.optimizer.param_groups, run.base_rates, strict=True):
            parameters["lr"] = rate * factor
        losses = take_step(run, group, batch.to(run.device))
        run.step += 1
        crops += len(batch.images) * group.size
        if log:
            log.add(run.step, factor, losses, crops / (time.monotonic() - started))
        if leads and run.step % SAVE_EVERY == 0:
            save_state(run, state, began)
    if log:
        save_state(run, state, began)
        log.flush()


def take_step(run: Run, group: Group, batch: Batch) -> tuple[float, float, float]:
    """Learn from one batch; return the losses of scores and boxes and the length of the gradient."""
    network, (centres, strides, levels) = run.network, run.anchors(batch.images.shape[1])
    set_mode(network)
    images = normalise(batch.images).to(memory_format=torch.channels_last)
    with torch.autocast(run.device.type, torch.bfloat16):
        logits, distances = network(images)
    scores, boxes = detection_loss(
        logits, distances, centres, strides, levels, batch.assigned, batch.boxes, batch.classes
    )
    run.optimizer.zero_grad(set_to_none=True)
    (scores + boxes).backward()
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    group.average([parameter.grad for parameter in learning if parameter.grad is not None])
    length = torch.nn.utils.clip_grad_norm_(learning, CLIP)
    if torch.isfinite(length):
        run.optimizer.step()
    run.average.update(network)
    return float(scores.detach()), float(boxes.detach()), float(length)


def _start_worker(_: int) -> None:
    """Let the data be made when the network leaves time; one thread each; signals are the parent's business."""
    os.nice(5)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the shards and labels.jsonl")
    parser.add_argument("run", type=Path, help="folder for state and log")
    parser.add_argument("--labels", type=Path, help="label file instead of the folder's own (see training.relabel)")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rate", type=float, default=5e-4, help="highest learning rate (default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=200, help="steps (default %(default)s)")
    parser.add_argument("--cooldown", type=float, default=0.35, help="last share of the run, down to 0 (%(default)s)")
    parser.add_argument(
        "--average", type=float, default=0.998, help="of the averaged weights, kept a step (%(default)s)"
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, help="length of the run")
    length.add_argument("--minutes", type=float, help="length of the run, by the clock")
    length.add_argument("--until", metavar="HH:MM", help="end of the run, by the clock")
    parser.add_argument("--times", type=int, default=1, help="batch size, times 16 crops of 320 px (for GPUs)")
    parser.add_argument("--processes", type=int, help="that share each step (default: one a core, or one on a GPU)")
    parser.add_argument("--workers", type=int, default=1, help="that make the data for each process")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def work(rank: int, size: int, port: int, arguments: argparse.Namespace) -> None:
    """Run one process of the training."""
    device = torch.device(arguments.device)
    torch.manual_seed(arguments.seed)
    # One thread a process: threads that wait for each other in every layer lose most of a machine shared with others.
    torch.set_num_threads(1 if size > 1 else max(os.cpu_count() or 1, 1))
    network = Network()
    if arguments.start:
        load_weights(network, arguments.start)
    network.to(device, memory_format=torch.channels_last)
    run = Run(network, make_optimizer(network, arguments.rate), Averaged(network, arguments.average), device)
    began, state = time.time(), arguments.run / "state.pth"
    if state.exists():
        began = load_state(run, state)
    if arguments.steps:
        schedule: Schedule = Steps(arguments.steps, arguments.warm_up, arguments.cooldown)
    else:
        minutes = minutes_until(arguments.until) if arguments.until else arguments.minutes - (time.time() - began) / 60
        schedule = Clock(began, time.time() + 60 * minutes, arguments.warm_up, arguments.cooldown)
    if rank == 0:
        print(f"{len(CLASSES)} classes, {schedule}, from step {run.step}, {size} x {arguments.device}", flush=True)
    with Group(rank, size, port) as group:
        train(run, group, arguments, schedule, began)


def main() -> None:
    """Run the command line."""
    arguments = read_arguments()
    arguments.run.mkdir(parents=True, exist_ok=True)
    size = arguments.processes or (1 if arguments.device.startswith("cuda") else os.cpu_count() or 1)
    port = free_port()
    context = torch.multiprocessing.get_context("spawn")
    others = [context.Process(target=work, args=(rank, size, port, arguments)) for rank in range(1, size)]
    for other in others:
        other.start()
    try:
        work(0, size, port, arguments)
    finally:
        for other in others:
            other.join(timeout=60)
            other.kill()


if __name__ == "__main__":
    main()
