"""Visual tokens take the places of the image placeholders in a prompt, checked row by row."""

from __future__ import annotations

from torch import Tensor

from calm.errors import ConfigError


def splice(embeddings: Tensor, input_ids: Tensor, visual: Tensor, image_token_id: int) -> Tensor:
    """Put visual tokens where the placeholders stand.

    Args:
        embeddings: (B, T, D), word embeddings of ``input_ids``.
        input_ids: (B, T).
        visual: (B, N, D), the visual tokens of each row, in order; N is a multiple of one photo's tokens.
        image_token_id: the placeholder.

    Returns:
        (B, T, D), a new tensor.

    Raises:
        ConfigError: when a row has not exactly N placeholders (so rows can never swap tokens).
    """
    places = input_ids == image_token_id
    counts = places.sum(dim=1)
    wrong = (counts != visual.shape[1]).nonzero().flatten().tolist()
    if wrong:
        raise ConfigError(
            f"expected {visual.shape[1]} image placeholders in every row, found {counts[wrong[0]].item()} in row "
            f"{wrong[0]}; build prompts with CalmProcessor, which writes one placeholder for each visual token"
        )
    return embeddings.masked_scatter(places.unsqueeze(-1), visual.to(embeddings.dtype))
