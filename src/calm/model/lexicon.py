"""Lexical alignment: visual tokens are pulled towards the language model's own word embeddings.

A token that lies near the embedding of a word already means something to the language model before it is taught to
read. The similarity of a photo and a word is the log-sum-exp over its tokens of the scaled cosine to the word's
embedding; the words that are true of a photo are learnt by binary cross-entropy (docs/lab.md). The surest words also
stand among the visual tokens as plain word embeddings.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.model.tokenizer import Tokenizer


class Lexicon(nn.Module):
    """Words beside their embeddings.

    Args:
        size: number of words.
        width: of the language model.
        token_rms: size that a word has among the visual tokens.
    """

    def __init__(self, size: int, width: int, token_rms: float) -> None:
        super().__init__()
        self.token_rms = token_rms
        self.register_buffer("embeddings", torch.zeros(size, width))
        self.scale = nn.Parameter(torch.tensor(2.5))
        self.bias = nn.Parameter(torch.full((size,), -6.0))
        self.unsure = nn.Parameter(torch.empty(width).normal_(std=token_rms))

    @torch.no_grad()
    def embed(self, words: Sequence[str], tokenizer: Tokenizer, table: Tensor) -> None:
        """Take the embeddings of ``words`` from the language model's ``table`` (vocabulary, width).

        A word of several pieces is the mean of their embeddings; the mean of all words is taken off, so that
        cosines between words spread.
        """
        rows = [table[tokenizer.encode(" " + word, add_special_tokens=False)].float().mean(dim=0) for word in words]
        self.embeddings = torch.stack(rows)

    def logits(self, tokens: Tensor) -> Tensor:
        """How sure the photo's tokens are of each word: (B, N, width) → (B, words), float32."""
        with torch.autocast(tokens.device.type, enabled=False):
            centred = self.embeddings - self.embeddings.mean(dim=0)
            cosine = F.normalize(tokens.float(), dim=2) @ F.normalize(centred, dim=1).T
            scale = self.scale.exp()
            return (torch.logsumexp(cosine * scale, dim=1) - torch.tensor(float(tokens.shape[1])).log()) + self.bias

    def surest(self, logits: Tensor, count: int, least: float = 0.3) -> Tensor:
        """The ``count`` surest words as tokens, surest first; those less likely than ``least`` are replaced by one
        learnt token that says so: (B, words) → (B, count, width).
        """
        sure, index = logits.detach().sigmoid().topk(count, dim=1)
        words = F.rms_norm(self.embeddings[index], self.embeddings.shape[1:]) * self.token_rms
        unsure = self.unsure.expand_as(words)
        return torch.where((sure >= least).unsqueeze(2), words, unsure)
