"""Accelerate, as far as the training loop needs it: one process or many, whole or sharded, in the same few words.

What a step computes does not depend on how many processes share it: every process reads its share of each batch, what
is said of all of it is gathered, and losses are of the whole batch (:mod:`calm.train.gradient`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, parse_flag_from_env
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from calm.errors import ConfigError
from calm.model.checkpoint import trained_state
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.precision import fast_dtype
from calm.train import zero
from calm.train.recipe import Recipe, Stage

PATIENCE = timedelta(hours=6)
"""How long processes wait for one that prepares photos."""
FORMATS = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number format of each precision."""
Item = TypeVar("Item")


class Engine:
    """The processes of a run and what they do together.

    Args:
        precision: as in a recipe.
        accumulate: parts that a process reads its share of a batch in.
        checkpoint_activations: compute activations again in the backward pass.
        trackers: names of trackers that are installed.
        output: folder of the trackers' files.

    Attributes:
        rank, world: number of this process, 0 … world − 1, and of all.
        main: this process writes files and talks.
        sharded: no process holds the whole model while a stage goes on.
        at_hand: each process does, on the CPU, where photos are prepared and validated.
    """

    def __init__(
        self,
        precision: str = "auto",
        accumulate: int = 1,
        checkpoint_activations: bool = False,
        trackers: Sequence[str] = (),
        output: Path | None = None,
    ) -> None:
        absent = sorted(set(trackers) - {str(tracker) for tracker in get_available_trackers()})
        if absent:
            raise ConfigError(
                f"expected trackers that are installed, found none called {absent[0]!r}; install it (tensorboard: "
                "pip install 'calm-aesthetics[track]'), or take it out of trackers"
            )
        cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available()
        if precision == "auto":
            precision = "bf16" if fast_dtype("cpu" if cpu else "cuda") == torch.bfloat16 else "no"
        if precision == "fp16" and cpu:
            raise ConfigError("expected a GPU for precision fp16, found a CPU; give bf16, no or auto")
        AcceleratorState._reset_state()  # another run in this process may have had another precision
        self.accelerator = Accelerator(
            cpu=cpu,
            mixed_precision=precision,
            log_with=list(trackers) or None,
            project_dir=output,
            # Losses read different parts of the model at different steps.
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True),
                InitProcessGroupKwargs(timeout=PATIENCE),
            ],
        )
        self.accumulate, self.checkpoint_activations = accumulate, checkpoint_activations
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.main = self.accelerator.is_main_process
        self.dtype = FORMATS[precision]
        self.zero = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        self.sharded = self.zero or self.accelerator.distributed_type == DistributedType.FSDP
        self.at_hand = not self.sharded and self.accelerator.device.type == "cpu"
        if self.zero:
            zero.build_whole()
        if self.sharded and not self.zero and not self.accelerator.is_fsdp2:
            raise ConfigError("expected fsdp_version: 2 in the configuration of Accelerate, found 1; correct it")

    @classmethod
    def of(cls, recipe: Recipe) -> Engine:
        """The engine that a recipe asks for."""
        engine = cls(recipe.precision, recipe.accumulate, recipe.checkpoint_activations, recipe.trackers, recipe.output)
        if recipe.trackers:
            engine.accelerator.init_trackers(recipe.name)
        return engine

    # ------------------------------------------------------------------------------------------- sharing the work

    def share(self, items: Sequence[Item]) -> list[list[Item]]:
        """This process's items, in as many parts as it reads one after the other; the same number on every process.

        Raises:
            ConfigError: when there is not one item for each process.
        """
        if len(items) < self.world:
            raise ConfigError(
                f"expected a batch of at least {self.world}, one sample for each process, found {len(items)}; "
                "raise batch in the recipe, or start fewer processes"
            )
        parts = min(self.accumulate, len(items) // self.world)
        own = items[self.rank :: self.world]
        return [list(own[i::parts]) for i in range(parts)]

    def gather(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rows of all processes: (n, …) → (all n, …), where n may differ. Gradients flow through one's own rows."""
        return {name: self._gather(tensor.to(self.accelerator.device)) for name, tensor in tensors.items()}

    def _gather(self, tensor: Tensor) -> Tensor:
        if self.world == 1:
            return tensor
        counts = self.accelerator.gather(torch.tensor([len(tensor)], device=tensor.device)).tolist()
        if not any(counts):
            return tensor
        padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
        padded[: len(tensor)] = tensor.detach()
        rows = self.accelerator.gather(padded).split(max(counts))
        parts = [part[:count] for part, count in zip(rows, counts, strict=True)]
        parts[self.rank] = tensor
        return torch.cat(parts)

    def sum(self, number: float) -> float:
        """The sum of every process's number."""
        told = torch.tensor([number], device=self.accelerator.device, dtype=torch.float64)
        return float(self.accelerator.reduce(told, "sum"))

    def agree(self, opinion: bool) -> bool:
        """What the main process thinks, on every process."""
        return self.sum(float(opinion and self.main)) > 0

    def wait(self) -> None:
        """For all processes to come here."""
        self.accelerator.wait_for_everyone()

    def main_first(self) -> AbstractContextManager[None]:
        """The main process does what is inside, then the others, which find it done."""
        return self.accelerator.main_process_first()

    # -------------------------------------------------------------------------------------------------- one stage

    def prepare(
        self, reader: nn.Module, optimizer: torch.optim.Optimizer, stage: Stage
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Reader and optimizer on this machine's device, wrapped for several processes."""
        if self.checkpoint_activations:
            reader.model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": _same_attention})
        if self.zero:
            zero.configure(self.accelerator, stage)
        return self.accelerator.prepare(reader, optimizer)

    def forget_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Begin a step."""
        optimizer.zero_grad()
        if self.zero:
            zero.forget_gradients(optimizer)

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, matrices are multiplied in the run's number format."""
        return self.accelerator.autocast()

    @contextmanager
    def gathering(self, reader: nn.Module, last: bool) -> Iterator[None]:
        """Around a forward pass and :meth:`backward`; gradients cross processes at the ``last`` one of a step alone."""
        self.accelerator.sync_gradients = last
        with ExitStack() as stack:
            if not last:
                stack.enter_context(self.accelerator.no_sync(reader))
            yield

    def backward(self, total: Tensor) -> None:
        """Add the gradient of ``total``, of which each process holds the part that goes through its own rows.

        Processes' gradients are averaged and not added by DDP, FSDP and DeepSpeed: hence the factor.
        """
        self.accelerator.backward(total * self.world)

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> float:
        """Scale the gradient down to ``norm`` where it is longer; how long it was."""
        length = self.accelerator.clip_grad_norm_(parameters, norm)
        return float(full(length)) if isinstance(length, Tensor) else float(length)

    def trained(self, model: CalmForConditionalGeneration) -> dict[str, Tensor]:
        """Every tensor that training may change, whole, by name; all processes must ask."""
        if self.zero:
            return zero.trained(model)
        return {name: full(value) for name, value in trained_state(model).items()}

    def moments(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """The optimizer's state, whole: ``PARAMETER|ENTRY``; all processes must ask."""
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        return {
            f"{names[id(parameter)]}|{entry}": full(torch.as_tensor(value))
            for parameter, entries in optimizer.state.items()
            for entry, value in entries.items()
        }

    def restore_moments(self, moments: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put what :meth:`moments` gave, on any number of processes, into the optimizer."""
        parameters = dict(model.named_parameters())
        for key, value in moments.items():
            name, entry = key.rsplit("|", 1)
            parameter = parameters[name]
            # The count of steps stays on the CPU, as AdamW keeps it.
            placed = like(value, parameter) if value.shape == parameter.shape and entry != "step" else value
            optimizer.state[parameter][entry] = placed

    def release(self) -> None:
        """Forget what was prepared, at the end of a stage."""
        self.accelerator.free_memory()

    # -------------------------------------------------------------------------------------------------- reporting

    def log(self, row: dict[str, Any], step: int) -> None:
        """Give the numbers of a row to the trackers."""
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        self.accelerator.log(numbers, step=step)

    def finish(self) -> None:
        """Close the trackers and leave the other processes."""
        self.accelerator.end_training()


def _same_attention() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of a forward pass and of its repetition: attention by the kernels that are allowed now."""
    allowed = {
        SDPBackend.MATH: torch.backends.cuda.math_sdp_enabled(),
        SDPBackend.FLASH_ATTENTION: torch.backends.cuda.flash_sdp_enabled(),
        SDPBackend.EFFICIENT_ATTENTION: torch.backends.cuda.mem_efficient_sdp_enabled(),
        SDPBackend.CUDNN_ATTENTION: torch.backends.cuda.cudnn_sdp_enabled(),
    }
    return nullcontext(), sdpa_kernel([kernel for kernel, is_allowed in allowed.items() if is_allowed])


def full(tensor: Tensor) -> Tensor:
    """A tensor of which every process may hold a shard, as a whole; all processes must ask."""
    collect: Callable[[], Tensor] | None = getattr(tensor, "full_tensor", None)
    return collect() if collect else tensor


def like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, where ``parameter`` is and sharded as it is."""
    if hasattr(parameter, "full_tensor"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
    return tensor.to(parameter.device)
