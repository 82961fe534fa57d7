"""Who judges a photo's frame, and how their opinions become one score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from calm.chat import Chat
from calm.data.looks import look
from calm.errors import ConfigError
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.pyramid import Pyramid
from calm.readout import SCORES, score_distribution
from calm.types import Score


class DescribedJudge(nn.Module):
    """A model's branch of statistics and its heads, alone: standardised statistics (n, d) → logits of a score (n, 10).

    What stands behind the statistics is not read. The layers are those of the model, not copies.
    """

    def __init__(self, model: CalmForConditionalGeneration) -> None:
        super().__init__()
        self.statistics, self.heads = model.mfam.statistics.layers, model.heads

    def forward(self, told: Tensor) -> Tensor:
        tokens = self.statistics(told[:, : self.statistics[1].in_features]).unflatten(1, (-1, self.heads.width))
        return self.heads({"statistics": tokens})["score"]


class Jury:
    """The opinions on frames: of the model, of a second judge on another look, of pyramids.

    Args:
        model: judges the frame itself, and the other looks where there is no second judge.
        chat: its prompts.
        second: judges the looks after the first; see :mod:`calm.model.judge`.
        heads: share of the heads in what is read, 0–1; the language model has the rest.
        pyramids: that judge beside the model's own; see :mod:`calm.model.pyramid`. Raises :class:`ConfigError` where
            the shares of all of them are more than the whole score.
    """

    def __init__(
        self,
        model: CalmForConditionalGeneration,
        chat: Chat,
        second: CalmForConditionalGeneration | None = None,
        heads: float = 0.0,
        pyramids: Sequence[Pyramid] = (),
    ) -> None:
        self.model, self.chat, self.second, self.heads = model, chat, second, heads
        self.pyramids = [each for each in (model.pyramid, *pyramids) if each is not None]
        if (shares := round(sum(each.share for each in self.pyramids), 9)) > 1:
            raise ConfigError(
                f"expected pyramids whose shares of the score are 1 at most together, found {shares:g}; take a file "
                "pyramid*.safetensors out of the model's folder, or teach it with a smaller pyramid_share"
            )

    @property
    def branches(self) -> list[str] | None:
        """Branches that the score is read from; None for all."""
        return self.model.config.head_branches if self.heads == 1 else None

    def opinions(self, views: Tensor, own: dict[str, Tensor] | None = None) -> list[Tensor]:
        """What each judge says of frames, as :meth:`verdict` takes it: (B, 10) probabilities of 1 … 10 of each.

        Args:
            views: (B, 1, 3, S, S), normalised.
            own: the model's branch tokens of these frames, where they are known already.
        """
        first = self._opinion(own, self.model) if own is not None else self._judge(views, self.model)
        others = self.model.config.looks[1:]
        seen = {name: look(views, name) for name in {*others, *(n for each in self.pyramids for n in each.looks)}}
        said = [first, *(self._judge(seen[name], self.second) for name in others)]
        for pyramid in self.pyramids:
            told = [pyramid(seen[name][:, 0])["score"].double().softmax(dim=1) for name in pyramid.looks]
            said.append(torch.stack(told).mean(dim=0))
        return said

    @torch.inference_mode()
    def verdict(self, opinions: Sequence[Tensor]) -> list[Score]:
        """Scores of photos: looks count alike, each pyramid by its own share."""
        looks = len(self.model.config.looks)
        rest = 1 - sum(pyramid.share for pyramid in self.pyramids)
        distribution = rest * torch.stack(list(opinions[:looks])).mean(dim=0).cpu()
        for pyramid, opinion in zip(self.pyramids, opinions[looks:], strict=True):
            distribution = distribution + pyramid.share * opinion.cpu()
        scores = SCORES.double()
        means = distribution @ scores
        spreads = (distribution @ scores.square() - means.square()).clamp(min=0).sqrt()
        rows = (distribution / distribution.sum(dim=1, keepdim=True)).tolist()
        return [
            Score(mean, spread, tuple(row))
            for mean, spread, row in zip(means.tolist(), spreads.tolist(), rows, strict=True)
        ]

    def _judge(self, views: Tensor, judge: CalmForConditionalGeneration | None) -> Tensor:
        """Opinion on frames (B, 1, 3, S, S): (B, 10)."""
        judge = judge or self.model
        return self._opinion(judge.align(**judge.encode(views, branches=self.branches), branches=self.branches), judge)

    def _opinion(self, tokens: dict[str, Tensor], judge: CalmForConditionalGeneration) -> Tensor:
        """(B, 10), float64, by the branch tokens of frames: the heads', the language model's or a mixture."""
        distribution = self.heads * judge.heads(tokens)["score"].double().softmax(dim=1)
        if self.heads < 1:
            distribution = distribution + (1 - self.heads) * score_distribution(judge, self.chat, join(tokens)).double()
        return distribution
