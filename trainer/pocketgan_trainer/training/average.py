"""The exponential moving average of a generator's weights: steadier than the weights themselves, and what is drawn from.

Source: Y. Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", 2018.
"""

import torch
from torch import nn

RAMP_SHARE = 0.5
"""The half-life is at most this share of the images seen so far, so that the first weights are soon forgotten.

The idea is that of T. Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, whose code ramps up with
a share of 0.05: for runs of a few million images that averages too little.
"""


def decay_of(halflife_images: int, images_seen: int, batch_size: int) -> float:
    """Return the weight that the old average keeps in a step of `batch_size` images, after `images_seen` images."""
    halflife = min(float(halflife_images), images_seen * RAMP_SHARE)
    return 0.5 ** (batch_size / halflife) if halflife else 0.0


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move every floating-point tensor of `average` by 1 - decay towards that of `network`, running statistics included."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
