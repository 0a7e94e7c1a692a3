"""DiffEdit's idea of where to edit (Couairon et al., ICLR 2023, section 3.2): where the inpainter's
noise predictions for a noised image differ under the source and under the target text.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lr_edit.frozen import Inpainter
from lr_edit.inpaint import noise_seed

# The paper's: noises averaged over, and how far the image is noised.
NOISES, STRENGTH = 10, 0.5


def noise_difference(
    inpainter: Inpainter,
    image: Float[Tensor, "1 3 side side"],
    *,
    source: str,
    prompt: str,
    seed: int,
) -> Float[Tensor, "rows cols"]:
    """The mean absolute difference of both predictions over channels and ten noises, on the latent
    grid. Its NFE is 20.

    Departure: DiffEdit's model generates whole images; an inpainting model is given a mask of all
    of the image, so that it knows the image through its noise alone.
    """
    seeds = [noise_seed(f"difference/{at}", seed) for at in range(NOISES)]
    noise = torch.cat([inpainter.noise(image.shape[-1], one) for one in seeds])
    before, after = (
        inpainter.predict(image, text, noise=noise, strength=STRENGTH) for text in (source, prompt)
    )
    return (after - before).abs().mean((0, 1))
