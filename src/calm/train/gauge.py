"""What a sample costs in a stage, measured without any weights.

The model's own code runs forward and backward on fake tensors (``torch._subclasses.FakeTensorMode``: meta tensors that
say they are on a CPU, shapes and number formats without storage), with the parts that a stage teaches and in mixed
precision. :class:`calm.train.throughput.FlopCount` counts matrix products, convolutions and attention; activations are
what autograd keeps for the backward pass, weights left out. Both grow linearly with samples and with the language
model's blocks, which are alike: one and two of each are run, and the rest is a straight line. An encoder that stands
still is run once, and its operations are added.

With activations computed again (``checkpoint_activations``), each block of the language model keeps its input alone,
and one block at a time everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from calm.data.sample import Batch
from calm.model.heads import HEADS
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import MEND_QUESTION, SCORE_QUESTION
from calm.train.reading import batch_features
from calm.train.recipe import Stage, TaskSpec
from calm.train.throughput import FlopCount

CHARACTERS = 4.0
"""Of English text a token, about: 4.0 and 4.4 in this project's advice and comments with SmolLM2's tokenizer."""
FRAME = 10
"""Tokens of the chat template around a question, and the end of the answer."""
QUESTION = 24
"""Characters of a question, about: the mean of :data:`calm.words.questions.QUESTIONS`."""
ANSWERS = {
    "score": 3,
    "edits": 58,
    "comment": 185,
    "critique": 185,
    "caption": 60,
    "instruct": 200,
    "laion-cc-sbu-558k": 60,
    "sharegpt4v": 942,
    "sharegpt4v-pt": 826,
}
"""Characters of an answer, about, by data set or else by task. Of ShareGPT4V as published (Chen et al. 2023, arXiv
2311.12793, table 1); of ``edits`` the mean of 150 drawn answers, of ``comment`` and ``critique`` that of 60; the others
are assumed."""
NOTES = 130
"""Characters of the notes before a question, about, where the recipe has them."""


@dataclass(frozen=True)
class Cost:
    """What one sample costs.

    Attributes:
        operations: floating-point operations, forward and backward.
        again: of those, the forward pass.
        block: the forward pass of the language model's blocks, which computing activations again repeats.
        kept: bytes of activations that are kept for the backward pass.
        sparing: the same where each block of the language model keeps its input alone.
    """

    operations: float
    again: float
    block: float
    kept: float
    sparing: float


class Figures(NamedTuple):
    """Operations forward and backward, and bytes kept between them, of one sample."""

    forward: float
    backward: float
    kept: float


class Gauge:
    """Measures a model, which is left as it is. Use as a context: inside, the model's tensors are fake ones on a CPU.

    Args:
        model: may be a skeleton; what ``requires_grad`` learns.
    """

    def __init__(self, model: CalmForConditionalGeneration) -> None:
        self.model = model
        self._known: dict[object, Figures] = {}

    def __enter__(self) -> Gauge:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._mode.__enter__()
        self._swap = _faked(self.model)
        self._swap.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._swap.__exit__(None, None, None)
        self._mode.__exit__(None, None, None)

    def cost(self, stage: Stage, task: TaskSpec) -> Cost:
        """What one sample of a task costs in a stage, in which ``requires_grad`` says what learns."""
        seeing = self._once(("see", stage.name, self._crops(task), _cached(task)), lambda n: self._see(stage, task, n))
        encoded = self._encoder(stage, task)
        forward, backward, kept = encoded + seeing.forward, seeing.backward, seeing.kept
        if not {"language", "examples"} & set(stage.read):
            return Cost(forward + backward, forward, 0.0, kept, kept)
        config, tokens = self.model.language_model.config, self.tokens(stage, task)
        blocks, runs = config.num_hidden_layers, []
        try:
            for depth in (1, 2):
                config.num_hidden_layers = depth
                key = "speak", stage.name, tokens, depth
                runs.append(self._once(key, lambda n: self._speak(stage, task, n)))
        finally:
            config.num_hidden_layers = blocks
        one, two = runs
        block = two.forward - one.forward
        block_kept = two.kept - one.kept
        forward += one.forward + (blocks - 1) * block
        backward += one.backward + (blocks - 1) * (two.backward - one.backward)
        kept += one.kept + (blocks - 1) * block_kept
        words = self.model.get_input_embeddings().weight
        entries = blocks * sum(tokens) * words.shape[1] * words.element_size()
        sparing = min(kept, kept - blocks * block_kept + entries + block_kept)
        return Cost(forward + backward, forward, blocks * block, kept, sparing)

    def tokens(self, stage: Stage, task: TaskSpec) -> tuple[int, int, int]:
        """Tokens of photo, question and answer that the language model reads of one sample."""
        if "examples" in stage.read:
            return 2 * int(task.options.get("length", 0)), 0, 0
        return self.model.config.tokens_of(stage.branches), *text_tokens(task, self.model.config.notes)

    def _once(self, key: object, forward: Callable[[int], list[Tensor]]) -> Figures:
        """Operations forward and backward, and bytes kept between them, that one sample more adds.

        Args:
            forward: number of samples → what is read of them.
        """
        if key not in self._known:
            with FlopCount() as counted:
                with torch.autocast("cpu", torch.bfloat16), Kept(self.model) as one:
                    said = [each.float().sum() for each in forward(1)]
                there = counted.total
                learnt = [each for each in said if each.requires_grad]
                if learnt:
                    torch.stack(learnt).sum().backward()
                back = counted.total - there
            with torch.autocast("cpu", torch.bfloat16), Kept(self.model) as two:
                forward(2)
            self._known[key] = Figures(float(there), float(back), float(two.bytes - one.bytes))
        return self._known[key]

    def _see(self, stage: Stage, task: TaskSpec, count: int) -> list[Tensor]:
        """What a stage reads of ``count`` samples of a task without the language model."""
        model, config, read = self.model, self.model.config, set(stage.read)
        model.train()
        said: list[Tensor] = []
        if "pyramid" in read and model.pyramid is not None:
            said += model.pyramid(torch.empty(count, 3, config.image_size, config.image_size)).values()
        if {"heads", "language"} & read:
            seen = self._seen(stage, task, count) if "vision" in stage.learn else self._given(task, count)
            measures = torch.empty(count, config.measures) if config.measures else None
            tokens = model.align(**seen, measures=measures, branches=stage.branches)
            said += tokens.values() if "language" in read else []
            said += [model.heads(tokens, measures)[name] for name in HEADS] if "heads" in read else []
        return said

    def _speak(self, stage: Stage, task: TaskSpec, count: int) -> list[Tensor]:
        """The language model over ``count`` prompts, photo first, and the cross-entropy of their answers."""
        model = self.model
        seen, asked, answered = self.tokens(stage, task)
        words = model.get_input_embeddings()
        learnt = not set(stage.learn) <= {"language"}  # a gradient goes on to what made the photo's tokens
        prompt = torch.empty(count, seen, words.weight.shape[1], dtype=words.weight.dtype, requires_grad=learnt)
        if asked:
            prompt = torch.cat([prompt, words(torch.empty(count, asked + answered, dtype=torch.long))], dim=1)
        hidden = model.language_model.model(inputs_embeds=prompt, use_cache=False).last_hidden_state
        if not answered:
            return [hidden]
        logits = model.get_output_embeddings()(hidden[:, -answered:]).float().flatten(0, 1)
        return [F.cross_entropy(logits, torch.empty(len(logits), dtype=torch.long))]

    # -------------------------------------------------------------------------------------------------- the encoder

    def _encoder(self, stage: Stage, task: TaskSpec) -> float:
        """Operations of an encoder that stands still, where it is run at each step; 0 where features are read."""
        if "vision" in stage.learn or _cached(task) or not {"heads", "language"} & set(stage.read):
            return 0.0
        key = "encode", self._crops(task), tuple(stage.branches or ())
        if key not in self._known:
            with FlopCount() as counted, torch.no_grad():
                self._seen(stage, task, 1)
            self._known[key] = Figures(float(counted.total), 0.0, 0.0)
        return self._known[key].forward

    def _crops(self, task: TaskSpec) -> int:
        return self.model.config.crops if task.name in ("edits", "critique") else 0

    def _given(self, task: TaskSpec, count: int) -> dict[str, Tensor | None]:
        """Features of an encoder that stands still, as they come to the alignment module."""
        config = self.model.config
        shape = (config.features_tokens, config.vision_config.hidden_size)
        given: dict[str, Tensor | None] = {"whole": torch.empty(count, len(config.layers), *shape)}
        if config.adapted_branches is not None:
            given["adapted"] = torch.empty(count, len(config.layers), *shape)
        if self._crops(task):
            given["crops"] = torch.empty(count, self._crops(task), len(config.low_layers), *shape)
        return given

    def _seen(self, stage: Stage, task: TaskSpec, count: int) -> dict[str, Tensor | None]:
        """Features of ``count`` samples by the encoder, from pixels or from where its frozen blocks left off."""
        model, config, size = self.model, self.model.config, self.model.config.image_size
        if _cached(task) == "started":
            blank = Batch(None, None, None, None, None, None, None, {}, [("", "")] * count, [None] * count)
            with torch.no_grad():
                blank.started = model.start(torch.empty(count, 3, size, size)).detach()
            return batch_features(model, blank, stage.patch_dropout, stage.branches)
        seen: dict[str, Tensor | None] = model.encode(torch.empty(count, 1, 3, size, size), branches=stage.branches)
        crops = self._crops(task)
        if crops:
            views = torch.empty(count * crops, 3, size, size)
            plain = config.adapted_branches is not None
            seen["crops"] = model.vision(views, config.low_layers, adapted=not plain).unflatten(0, (count, crops))
        return seen


def _cached(task: TaskSpec) -> str:
    """Which features a task reads from a store: ``finished`` or ``started`` ones, or none."""
    return str(task.options.get("cached", "" if task.name in ("score", "instruct") else "finished"))


@contextmanager
def _faked(model: nn.Module) -> Iterator[None]:
    """Inside, the model's tensors are fake ones on a CPU, whatever they were."""
    places = [
        (tensors, name, value)
        for module in model.modules()
        for tensors in (module._parameters, module._buffers)
        for name, value in tensors.items()
        if value is not None
    ]
    made: dict[int, Tensor] = {}
    for tensors, name, value in places:
        if id(value) not in made:
            fake: Tensor = torch.empty(value.shape, dtype=value.dtype)
            made[id(value)] = nn.Parameter(fake, value.requires_grad) if isinstance(value, nn.Parameter) else fake
        tensors[name] = made[id(value)]
    try:
        yield
    finally:
        for tensors, name, value in places:
            tensors[name] = value


class Kept:
    """Inside, adds up the bytes of what autograd keeps for a backward pass, each storage once, weights left out.

    Attributes:
        bytes: kept so far.
    """

    def __init__(self, model: nn.Module) -> None:
        self.bytes = 0
        self._seen = {value.untyped_storage()._cdata: value for value in model.parameters()}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = tensor
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> Kept:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)


def text_tokens(task: TaskSpec, notes: bool) -> tuple[int, int]:
    """Tokens of question (with its frame) and answer, about."""
    question = {"score": len(SCORE_QUESTION), "edits": len(MEND_QUESTION)}.get(task.name, QUESTION)
    question += NOTES if notes and task.name in ("comment", "critique") else 0
    source = str(task.options.get("source", ""))
    answer = ANSWERS.get(source, ANSWERS.get(task.name, 0))
    return FRAME + math.ceil(question / CHARACTERS), math.ceil(answer / CHARACTERS)
