"""What a model says of a batch, and what it should have said: the two sides that losses compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from calm.chat import IGNORED, Chat
from calm.data.sample import Batch
from calm.data.views import normalise
from calm.errors import ConfigError
from calm.model.examples import ExampleReader
from calm.model.heads import HEADS
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.splice import splice
from calm.readout import SCORES
from calm.train.losses import correlation_loss, example_losses, head_losses
from calm.train.recipe import Stage


class Reader(nn.Module):
    """The model as a stage reads it: one forward pass from a batch to what is said of it.

    Whatever wraps a model for several processes (DDP, FSDP, DeepSpeed) watches the forward pass of one module: this.

    Args:
        keep_encoder: the encoder needs no gradient.
    """

    def __init__(self, model: CalmForConditionalGeneration, chat: Chat, stage: Stage) -> None:
        super().__init__()
        self.model = model
        # A prompt has places for the tokens of the branches that take part.
        self.chat = Chat(chat.tokenizer, chat.image_token_id, model.config.tokens_of(stage.branches))
        self.read, self.branches, self.patch_dropout = list(stage.read), stage.branches, stage.patch_dropout
        self.keep_encoder = "vision" not in stage.learn
        there = {type(module).__name__ for module in model.modules()}
        blocks = {name for part in (model.vision.model, model.language_model) for name in part._no_split_modules or ()}
        self._no_split_modules = sorted(blocks & there)
        """Classes of the blocks that FSDP shards one by one."""

    def forward(self, batch: Batch, wanted: Sequence[str]) -> dict[str, Tensor]:
        """What is said of a batch, of what is ``wanted``: names that :func:`targets` gives.

        Returns:
            ``pyramid.NAME`` and ``heads.NAME`` (B, n) for names of :data:`calm.model.heads.HEADS`; ``ratings``
            (B, n, 10), logits; ``words`` (tokens,), the cross-entropy of every token of the answers; ``spoken`` (b, 9),
            log-probabilities of the digits that an answer may begin with, of the b rows whose answer is a distribution.
        """
        model = self.model
        said: dict[str, Tensor] = {}
        if "pyramid" in self.read:
            said |= _named("pyramid", pyramid_outputs(model, batch), wanted)
        if "examples" in self.read:
            said["ratings"] = rating_logits(model, batch, self.chat)
        asked = "language" in self.read and "words" in wanted
        if "heads" in self.read or asked:
            tokens = encode_batch(model, batch, self.keep_encoder, self.patch_dropout, self.branches)
            if "heads" in self.read and set(wanted) & set(HEADS):
                said |= _named("heads", model.heads(tokens, _on(model, batch.measures)), wanted)
            if asked:
                said |= answer_losses(model, join(tokens), batch, self.chat, "spoken" in wanted)
        return said


def _named(reader: str, outputs: dict[str, Tensor], wanted: Sequence[str]) -> dict[str, Tensor]:
    return {f"{reader}.{name}": outputs[name] for name in wanted if name in HEADS}


def targets(batch: Batch, read: Sequence[str]) -> dict[str, Tensor]:
    """What should be said of a batch, a row a sample, NaN where nothing is known.

    The names depend on ``read`` alone, so that all processes have the same ones: those of
    :data:`calm.model.heads.HEADS` (B, n); ``ratings`` (B, n), 1–10; ``words`` (B, 1), 1 where there is a question; and
    ``spoken`` (B, 10), distributions.
    """
    count, told = len(batch), {}
    if {"heads", "pyramid"} & set(read):
        told = {name: batch.targets.get(name, torch.full((count, size), torch.nan)) for name, size in HEADS.items()}
    if "examples" in read and batch.ratings is not None:
        told["ratings"] = batch.ratings
    if "language" in read:
        told["words"] = torch.tensor([[1.0 if question else torch.nan] for question, _ in batch.exchanges])
        blank = np.full(len(SCORES), np.nan, np.float32)
        told["spoken"] = torch.from_numpy(
            np.stack([blank if each is None else np.float32(each) for each in batch.distributions])
        )
    return told


def known(told: dict[str, Tensor]) -> list[str]:
    """Names of the targets that any sample has."""
    return [name for name, target in told.items() if target.isfinite().any()]


def compare(said: dict[str, Tensor], told: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses by name. Both sides are of the whole batch: a correlation is not the mean of those of its parts.

    The score distribution is learnt over the ten first tokens (``1`` stands for 1 and for 10) and by its mean: losses
    ``spoken`` and ``spoken-correlation``. The other answers are learnt token by token, ``words``.
    """
    losses: dict[str, Tensor] = {}
    for reader in ("pyramid", "heads"):
        outputs = {name: said[f"{reader}.{name}"] for name in HEADS if f"{reader}.{name}" in said}
        losses |= head_losses(outputs, {name: told[name] for name in outputs})
    if "ratings" in said:
        losses |= example_losses(said["ratings"], told["ratings"])
    if "words" in said:
        losses["words"] = said["words"].mean()
    if "spoken" in said:
        spoken, target = said["spoken"], told["spoken"]
        target = target[target.isfinite().all(dim=1)]
        scores = SCORES.to(spoken)
        folded = torch.cat([target[:, :1] + target[:, 9:], target[:, 1:9]], dim=1)
        mean, wanted = spoken.softmax(dim=1) @ scores[:9], target @ scores
        losses["spoken"] = -(folded * spoken).sum(dim=1).mean() + (mean - wanted).square().mean()
        if len(target) > 2:
            losses["spoken-correlation"] = correlation_loss(mean, wanted)
    return losses


def pyramid_outputs(model: CalmForConditionalGeneration, batch: Batch) -> dict[str, Tensor]:
    """What the pyramid says of a batch of photos as pixels; see :meth:`calm.model.pyramid.Pyramid.forward`."""
    if model.pyramid is None or batch.views is None:
        missing = "features" if model.pyramid else "a model without one"
        raise ConfigError(
            f"expected a model with a pyramid and photos as pixels where the pyramid is read, found {missing}; give "
            "pyramid in the recipe's model, and the task without cached"
        )
    frames = normalise(batch.views[:, :1], model.config.image_mean, model.config.image_std)[:, 0]
    return model.pyramid(frames.to(model.device))


def rating_logits(model: CalmForConditionalGeneration, batch: Batch, chat: Chat) -> Tensor:
    """What is said of each photo of sequences of rated photos (:mod:`calm.model.examples`): (B, n, 10)."""
    if model.examples is None or batch.examples is None or batch.ratings is None:
        found = "a model that reads none" if model.examples is None else "a task without"
        raise ConfigError(f"expected rated photos where examples are read, found {found}; give examples in the config")
    return ExampleReader(model.language_model, model.examples, chat).logits(batch.examples, batch.ratings)


def encode_batch(
    model: CalmForConditionalGeneration,
    batch: Batch,
    keep_encoder: bool,
    patch_dropout: float = 0.0,
    branches: list[str] | None = None,
) -> dict[str, Tensor]:
    """Branch tokens of a batch, from cached features where there are any.

    Args:
        keep_encoder: the encoder needs no gradient.
        patch_dropout: share of the pooled squares of patches, drawn anew for each batch, that the blocks with adapters
            do not see.
        branches: of the alignment module, all if None.
    """
    with torch.no_grad() if keep_encoder else torch.enable_grad():
        seen = batch_features(model, batch, patch_dropout, branches)
    return model.align(**seen, measures=_on(model, batch.measures), branches=branches)


def batch_features(
    model: CalmForConditionalGeneration, batch: Batch, patch_dropout: float = 0.0, branches: list[str] | None = None
) -> dict[str, Tensor | None]:
    """Encoder features of a batch: ``whole``, ``adapted`` where the encoder forks, and ``crops`` and ``crop_mask``."""
    config = model.config
    seen: dict[str, Tensor | None]
    crop_mask = _on(model, batch.crop_mask)
    if batch.views is not None:
        views = normalise(batch.views, config.image_mean, config.image_std).to(model.device)
        seen = model.encode(views, crop_mask, branches=branches)
    elif batch.started is not None:
        started = batch.started.to(model.device)
        count = config.features_tokens - 1
        kept = round(count * (1 - patch_dropout))
        tuned = model.finish(started, torch.randperm(count)[:kept] if patch_dropout else None)
        seen = {"whole": tuned}
        if config.adapted_branches is not None:
            seen = {"whole": None, "adapted": tuned}
            if set(config.branch_names if branches is None else branches) - set(config.adapted_branches):
                seen["whole"] = model.finish(started, adapted=False)
    else:
        seen = {"whole": _on(model, batch.features), "adapted": _on(model, batch.adapted)}
    if batch.crops is not None:
        seen["crops"] = batch.crops.unflatten(1, (-1, len(config.low_layers))).to(model.device)
    if "crops" in seen:
        seen["crop_mask"] = crop_mask
    return seen


def answer_losses(
    model: CalmForConditionalGeneration, visual: Tensor, batch: Batch, chat: Chat, spoken: bool
) -> dict[str, Tensor]:
    """Of the answers, ``words`` and, if wanted, ``spoken``, as :meth:`Reader.forward` gives them."""
    exchange = chat.exchange(batch.exchanges)
    soft = [i for i, target in enumerate(batch.distributions) if target is not None]
    ids, mask, labels, starts = (each.to(visual.device) for each in exchange)
    if soft:
        labels[soft, starts[soft] + 1] = IGNORED
    learnt = (labels[:, 1:] != IGNORED).nonzero()
    embeddings = model.get_input_embeddings()(ids)
    embeddings = splice(embeddings, ids, visual, model.config.image_token_id)
    language = model.language_model.model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False)
    hidden, head = language.last_hidden_state, model.get_output_embeddings()
    logits = head(hidden[learnt[:, 0], learnt[:, 1]]).float()
    wanted = labels[learnt[:, 0], learnt[:, 1] + 1]
    said = {"words": nn.functional.cross_entropy(logits, wanted, reduction="none")}
    if spoken:
        digits = [chat.token(str(score)) for score in range(1, 10)]
        said["spoken"] = head(hidden[soft, starts[soft]]).float().log_softmax(dim=1)[:, digits]
    return said


def _on(model: CalmForConditionalGeneration, tensor: Tensor | None) -> Tensor | None:
    """The tensor where the model is."""
    return None if tensor is None else tensor.to(model.device)
