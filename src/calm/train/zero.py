"""What DeepSpeed's ZeRO wants to be asked in its own words. It is imported here alone, where it was launched.

Its optimizer keeps flat shards, and its own checkpoints are pickles. A run under it is therefore saved between stages,
when nothing but the weights is left, and goes on from there.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from calm.errors import ConfigError
from calm.model.checkpoint import trained_state
from calm.model.modeling import CalmForConditionalGeneration
from calm.train.recipe import Stage


def build_whole() -> None:
    """Let transformers build whole models: photos are prepared with them before they are sharded."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()


def configure(accelerator: Any, stage: Stage) -> None:  # noqa: ANN401 - accelerate is not typed
    """Tell DeepSpeed what the stage says; it clips gradients itself.

    Raises:
        ConfigError: for a stage with ``average``: a mean put in the weights' place would miss DeepSpeed's own copy.
    """
    if stage.average:
        raise ConfigError(
            f"expected no average in stage {stage.name} under DeepSpeed, found {stage.average}; take it out, or use "
            "DDP or FSDP"
        )
    accelerator.state.deepspeed_plugin.deepspeed_config |= {
        "train_micro_batch_size_per_gpu": 1,  # DeepSpeed asks for it; batches are made by the recipe
        "train_batch_size": accelerator.num_processes,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": stage.clip,
    }


def forget_gradients(optimizer: Any) -> None:  # noqa: ANN401 - deepspeed is not typed
    """Set ZeRO-3's gradients to zero: where a step's first loss does not reach, it would add to the last step's."""
    buffer = getattr(optimizer.optimizer, "grad_partitions_flat_buffer", None)
    if buffer is not None:
        buffer.zero_()


def trained(model: CalmForConditionalGeneration) -> dict[str, Tensor]:
    """:func:`calm.model.checkpoint.trained_state`, whole; what learns in float32. All processes must ask."""
    from deepspeed.runtime.zero import GatheredParameters
    from deepspeed.utils import safe_get_full_fp32_param

    with GatheredParameters(list(model.parameters())):
        found = {name: value.clone() for name, value in trained_state(model).items()}
    for name, parameter in model.named_parameters():
        if name in found and parameter.requires_grad:
            found[name] = safe_get_full_fp32_param(parameter).detach()
    return found
