"""The usual training loop, for comparison with gan-train in `scripts/bench_training.py`. Not for training.

It trains the same networks in the same way, with the same hyper-parameters and schedules, but is written like tutorials and
papers' code: a DataLoader that makes float32 images one by one as torchvision does, torch's default memory layout, Dropout and
Adam, one backward pass for each loss, and gradient penalties at every step. It runs in float32 on a CPU. One step differs a
little: the DCGAN's generator is updated after the discriminator, as in most tutorials, not at the same time.
"""

import time
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

from pocketgan.trait_table import TRAITS
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.networks.dcgan import UniformDropout
from pocketgan_trainer.training import schedule
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import (
    PRESETS,
    build_discriminator,
    build_generator,
    build_view,
    generator_classes,
    latent_size,
)
from pocketgan_trainer.training.schedule import ema_decay, update_ema
from pocketgan_trainer.training.steps import SMOOTHED_REAL, alternating_step, shifted, simultaneous_step


class TorchvisionImages(Dataset[tuple[Tensor, int]]):
    """One image at a time, float32 [1, S, S] from -1 to 1, and its label, made in the same way as in torchvision.

    There, `MNIST(transform=Compose([ToTensor(), Normalize(0.5, 0.5)]))` makes a Pillow image, a tensor, then a normalized copy.
    The operations are those of torchvision 0.28, `datasets/mnist.py` and `transforms`, files `functional.py` and
    `_functional_tensor.py`.
    """

    def __init__(self, digits: Digits) -> None:
        self._images = torch.from_numpy(digits.images)
        self._labels = torch.from_numpy(digits.labels)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image and its label."""
        picture = Image.fromarray(self._images[index].numpy())
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        channels_first = pixels.view(picture.height, picture.width, 1).permute(2, 0, 1).contiguous()
        image = channels_first.to(torch.get_default_dtype()).div(255).clone()
        mean, deviation = torch.as_tensor((0.5,), dtype=image.dtype), torch.as_tensor((0.5,), dtype=image.dtype)
        if (deviation == 0).any():
            raise ValueError("deviation is 0: expected numbers above 0")
        return image.sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1)), int(self._labels[index])


class PlainImages(Dataset[tuple[Tensor, int]]):
    """The same images and labels, made with as few operations as a data set of single images needs."""

    def __init__(self, digits: Digits) -> None:
        self._digits = digits

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._digits)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image and its label."""
        pixels = torch.from_numpy(self._digits.images[index])[None].float().div(255)
        return pixels.sub(0.5).div(0.5), int(self._digits.labels[index])


class UsualTraining:
    """A run of the preset of `config`, written in the usual way; only without a canvas, whose traits it does not know."""

    def __init__(self, config: TrainingConfig, images: Dataset[tuple[Tensor, int]], penalty_interval: int = 1) -> None:
        if config.canvas:
            raise ValueError("the usual loop knows no canvas: expected a config with canvas false")
        torch.manual_seed(config.seed)
        self.config = config
        self.penalty_interval = penalty_interval
        """The number of steps between gradient penalties, whose weight is multiplied by it."""
        self.loader = DataLoader(images, config.batch_size, shuffle=True, drop_last=True)
        self.images_total = config.epochs * len(self.loader) * config.batch_size
        self.latent_size = latent_size(config)
        self.generator, self.discriminator = _plain(build_generator(config)), _plain(build_discriminator(config))
        self.view = build_view(config)
        self.ema_generator = deepcopy(self.generator)
        betas = (config.adam_beta1, config.adam_beta2)
        self.generator_optimizer = Adam(self.generator.parameters(), config.learning_rate, betas)
        self.discriminator_optimizer = Adam(self.discriminator.parameters(), config.learning_rate, betas)
        self.images_seen = 0

    @property
    def sampling_generator(self) -> nn.Module:
        """The generator to draw samples from."""
        return self.ema_generator if self.config.ema_halflife_images else self.generator

    def epoch(self) -> Iterator[float]:
        """Take the steps of one epoch; yield the time after each, in seconds of `time.perf_counter`."""
        step = PRESETS[self.config.preset].step
        for real, label in self.loader:
            latent = torch.randn(len(real), self.latent_size)
            rate = schedule.learning_rate(self.config, self.images_seen, self.images_total)
            for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
                schedule.set_learning_rate(optimizer, rate)
            if not schedule.uses_batch_statistics(self.config, self.images_seen, self.images_total):
                schedule.freeze_statistics(self.generator)
            if step is simultaneous_step:
                losses = self._convolutional_step(real, latent)
            elif step is alternating_step:
                losses = self._dense_step(real, latent)
            else:
                losses = self._paired_step(real, latent, label)
            self._update_average()
            self.images_seen += len(real)
            # The usual logging reads the losses after each step.
            _ = [loss.item() for loss in losses]
            yield time.perf_counter()

    def _convolutional_step(self, real: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        self.discriminator_optimizer.zero_grad()
        fake = self.generator(latent)
        real_loss = _entropy(self.discriminator(real), SMOOTHED_REAL)
        fake_loss = _entropy(self.discriminator(fake.detach()), 0.0)
        real_loss.backward()
        fake_loss.backward()
        self.discriminator_optimizer.step()
        return self._fool(fake), real_loss + fake_loss

    def _dense_step(self, real: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        self.discriminator_optimizer.zero_grad()
        real_loss = _entropy(self.discriminator(real), 1.0)
        real_loss.backward()
        self.discriminator_optimizer.step()
        self.discriminator_optimizer.zero_grad()
        fake = self.generator(latent)
        fake_loss = _entropy(self.discriminator(fake.detach()), 0.0)
        fake_loss.backward()
        self.discriminator_optimizer.step()
        return self._fool(fake), real_loss + fake_loss

    def _fool(self, fake: Tensor) -> Tensor:
        """Update the generator so that the discriminator takes its images for real; return its loss."""
        self.generator_optimizer.zero_grad()
        loss = _entropy(self.discriminator(fake), 1.0)
        loss.backward()
        self.generator_optimizer.step()
        return loss

    def _paired_step(self, real: Tensor, latent: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        config, seen = self.config, self.images_seen
        condition = (label,) if generator_classes(config) else ()
        refining = schedule.is_refining(config, seen, self.images_total)
        share, class_weight = (config.shifted_share, config.class_weight) if refining else (0.0, 0.0)
        fake = self.view(self.generator(latent, *condition))
        shown_real = shifted(self.view(real), share).requires_grad_()
        shown_fake = shifted(fake.detach(), share).requires_grad_()

        self.discriminator_optimizer.zero_grad()
        traits = latent[:, : len(TRAITS)]  # which a discriminator without a canvas ignores
        real_logits, class_logits, _ = self.discriminator(shown_real, *condition, traits=traits)
        fake_logits = self.discriminator(shown_fake, *condition, traits=traits).logits
        naming_loss = cross_entropy(class_logits, label) if condition else torch.zeros(())
        loss = softplus(fake_logits - real_logits).mean() + class_weight * naming_loss
        gamma = schedule.penalty_weight(config, seen, self.images_total)
        if seen // config.batch_size % self.penalty_interval == 0:
            for images, logits in ((shown_real, real_logits), (shown_fake, fake_logits)):
                (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
                loss = loss + self.penalty_interval * gamma / 2 * slopes.square().sum(dim=(1, 2, 3)).mean()
        loss.backward()
        self.discriminator_optimizer.step()

        self.generator_optimizer.zero_grad()
        real_logits = self.discriminator(shown_real.detach(), *condition, traits=traits).logits
        fake_logits, class_logits, _ = self.discriminator(shifted(fake, share), *condition, traits=traits)
        generator_loss = softplus(real_logits.detach() - fake_logits).mean()
        if condition:
            excess = cross_entropy(class_logits, label) - naming_loss.detach()
            generator_loss = generator_loss + class_weight * excess.relu()
        generator_loss.backward()
        self.generator_optimizer.step()
        return generator_loss, loss

    def _update_average(self) -> None:
        if self.config.ema_halflife_images:
            decay = ema_decay(self.config.ema_halflife_images, self.images_seen, self.config.batch_size)
            update_ema(self.ema_generator, self.generator, decay)


def _plain(network: nn.Module) -> nn.Module:
    """Return the network in torch's default memory layout, with torch's own Dropout."""
    for layer in list(network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, UniformDropout):
                setattr(layer, name, nn.Dropout(child.probability))
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _entropy(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
