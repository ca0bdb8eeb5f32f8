"""The training loop: what each step gets, what happens when steps fail, and what the schedules do to a run."""

import itertools
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from short_runs import (
    CANVAS,
    CPU,
    DCGAN,
    FEW_IMAGES,
    MLP,
    MLP_IMAGES,
    MLP_STEPS,
    NANO,
    NewRun,
    SilentReport,
    after,
    assert_same_run,
    assert_same_state,
    digits_for,
    statistics,
    train,
    train_in_pieces,
)
from torch import Tensor

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.processes import Processes
from pocketgan_trainer.training import loop
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.loop import MOST_SKIPPED_STEPS, count_steps, image_order
from pocketgan_trainer.training.presets import PRESETS, build_gan
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.schedule import ema_decay, learning_rate, penalty_weight, update_ema
from pocketgan_trainer.training.steps import Batch, Gan, Step, StepStatistics, alternating_step
from pocketgan_trainer.training.trait_latents import trait_latents

UseStep = Callable[[str, Step], None]


@pytest.fixture
def use_step(monkeypatch: pytest.MonkeyPatch) -> UseStep:
    """Makes runs of a preset use another step."""
    return lambda name, step: monkeypatch.setattr(loop, "PRESETS", {name: replace(PRESETS[name], step=step)})


def test_the_same_seed_gives_the_same_run_and_another_seed_another(uninterrupted: RunFolder, new_run: NewRun) -> None:
    same, other = new_run(), new_run()
    torch.rand(3)  # the state of the process must not matter
    train(MLP, same)
    train(replace(MLP, seed=1), other)
    assert_same_run(same, uninterrupted)
    assert statistics(other) != statistics(uninterrupted)


# -- what a step gets


class RecordingStep:
    """A training step that records its batches and moves nothing."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.rates: list[tuple[float, float]] = []
        """Learning rates of both optimizers."""

    def __call__(self, gan: Gan, batch: Batch) -> StepStatistics:
        """Record the batch."""
        self.batches.append(batch)
        first, second = (optimizer.param_groups[0]["lr"] for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer))
        self.rates.append((first, second))
        return StepStatistics(True, *torch.zeros(4))


@pytest.fixture
def recorded(use_step: UseStep, new_run: NewRun) -> Callable[[TrainingConfig], RecordingStep]:
    """Returns what the steps of a run get."""

    def record(config: TrainingConfig) -> RecordingStep:
        step = RecordingStep()
        use_step(config.preset, step)
        train(config, new_run())
        return step

    return record


def test_each_epoch_shows_each_image_at_most_once_in_its_own_order(recorded: Callable[[TrainingConfig], RecordingStep]) -> None:
    batches = recorded(replace(MLP, seed=9)).batches
    assert [batch.step for batch in batches] == list(range(2 * MLP_STEPS))
    assert [batch.condition for batch in batches] == [()] * 10  # a preset without classes gets no labels
    for epoch in (0, 1):
        shown = torch.cat([batch.real for batch in batches[epoch * MLP_STEPS :][:MLP_STEPS]])
        expected = digits_for(MLP).images[image_order(9, epoch, MLP_IMAGES)[:320]].astype(np.float32) / 127.5 - 1
        assert shown.shape == (320, 1, 28, 28)
        torch.testing.assert_close(shown[:, 0], torch.from_numpy(expected))
        assert (shown.min().item(), shown.max().item()) == (-1, 1)


def test_each_step_gets_new_latents(recorded: Callable[[TrainingConfig], RecordingStep]) -> None:
    batches = recorded(MLP).batches
    assert [batch.latent.shape for batch in batches] == [(64, 100)] * 10
    rows = torch.cat([batch.latent for batch in batches])
    assert len({tuple(row.tolist()) for row in rows}) == 640


def test_a_conditional_preset_gets_labels_and_all_schedules(recorded: Callable[[TrainingConfig], RecordingStep]) -> None:
    config, size = replace(NANO, seed=9), NANO.batch_size
    step = recorded(config)
    for epoch in (0, 1):
        labels = torch.cat([torch.stack(batch.condition, dim=1) for batch in step.batches[4 * epoch :][:4]])
        assert labels.dtype == torch.int64
        assert labels[:, 0].tolist() == digits_for(NANO).labels[image_order(9, epoch, FEW_IMAGES)[: 4 * size]].tolist()
    rates = [learning_rate(config, size * done, 8 * size) for done in range(8)]
    assert step.rates == [(rate, rate) for rate in rates]
    assert rates[0] == NANO.learning_rate
    assert rates[4] == pytest.approx(NANO.learning_rate * 0.1**0.5)
    weights = [penalty_weight(config, size * done, 8 * size) for done in range(8)]
    assert [batch.penalty_weight for batch in step.batches] == weights
    assert weights[0] == 0.5
    assert weights[4] == pytest.approx(0.5 * 0.2**0.5)
    # Classification and shifts apply in the last part of the run.
    assert [(batch.class_weight, batch.shifted_share) for batch in step.batches] == [(0, 0)] * 5 + [(0.25, 0.75)] * 3


def test_a_guide_counts_in_the_last_steps_only(recorded: Callable[[TrainingConfig], RecordingStep]) -> None:
    step = recorded(replace(NANO, epochs=7, guidance_weight=0.5))
    assert [batch.guidance_weight for batch in step.batches] == [0] * 26 + [0.5] * 2
    assert {batch.guidance_weight for batch in recorded(replace(NANO, epochs=7)).batches} == {0}


def test_a_guided_run_ends_alike_if_it_is_interrupted(new_run: NewRun) -> None:
    whole, pieces, unguided = new_run(), new_run(), new_run()
    config = replace(CANVAS, epochs=14, guidance_weight=0.5)
    assert train(config, whole)
    assert train_in_pieces(config, pieces, [13]) == 1
    assert_same_state(load_checkpoint(pieces.last), load_checkpoint(whole.last))
    assert (pieces.path / "guide.safetensors").read_bytes() == (whole.path / "guide.safetensors").read_bytes()
    train(replace(config, guidance_weight=0.0), unguided)
    first, second = (load_checkpoint(run.last).tensors["generator.body.0.weight"] for run in (whole, unguided))
    assert not torch.equal(first, second)


def test_with_traits_the_first_latents_of_a_fake_are_those_of_the_real_image_of_its_pair(
    recorded: Callable[[TrainingConfig], RecordingStep],
) -> None:
    step = recorded(replace(NANO, canvas=True, trait_weight=0.1, hidden_traits_share=0.5))
    latents = torch.cat([batch.latent for batch in step.batches[:4]])
    of_traits = trait_latents(digits_for(NANO))[image_order(NANO.seed, 0, FEW_IMAGES)[: 4 * NANO.batch_size]]
    assert torch.equal(latents[:, :3], of_traits)
    assert len(latents[:, 3:].unique(dim=0)) == len(latents)
    assert {batch.trait_weight for batch in step.batches} == {0.1}
    # They are hidden from the discriminator in the last part of the run.
    assert [batch.hidden_traits_share for batch in step.batches] == [0] * 5 + [0.5] * 3


# -- what a run does between its steps


@pytest.mark.parametrize(("halflife", "longer"), [(500, False), (0, True)], ids=["with an average", "made longer, without"])
def test_the_running_statistics_are_frozen_after_their_share_of_the_run(
    use_step: UseStep, new_run: NewRun, halflife: int, longer: bool
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def step(gan: Gan, batch: Batch) -> StepStatistics:
        measured = PRESETS["nano"].step(gan, batch)
        values = gan.generator.state_dict()
        seen.append((values["body.2.running_var"].clone(), values["body.2.weight"].clone()))
        return measured

    use_step("nano", step)
    run, config = new_run(), replace(NANO, ema_halflife_images=halflife)
    train(config, run)
    if longer:  # 8 steps, then 12 more: half of 20 would be 10, but what is frozen stays frozen
        train(replace(config, epochs=5), run, resume_from=load_checkpoint(run.last))
    moved = [
        (not torch.equal(*variances), not torch.equal(*weights))
        for variances, weights in (zip(*pair, strict=True) for pair in itertools.pairwise(seen))
    ]
    assert moved == [(True, True)] * 3 + [(False, True)] * (16 if longer else 4)


def test_the_average_follows_the_generator_step_by_step(use_step: UseStep, new_run: NewRun) -> None:
    generators = []

    def remember(gan: Gan, batch: Batch) -> StepStatistics:
        measured = PRESETS["nano"].step(gan, batch)
        generators.append(deepcopy(gan.generator))
        return measured

    use_step("nano", remember)
    run = new_run()
    train(NANO, run)
    average = deepcopy(generators[0])
    for step, generator in enumerate(generators[1:], start=1):
        update_ema(average, generator, ema_decay(500, 8 * step, 8))
    tensors = load_checkpoint(run.last).tensors
    for name, value in average.state_dict().items():
        assert torch.equal(value, tensors[f"average.{name}"]), name
        assert torch.equal(generators[-1].state_dict()[name], tensors[f"generator.{name}"]), name


@pytest.mark.parametrize("bfloat16", [False, True])
def test_layers_compute_in_the_type_of_the_config_with_the_weights_of_the_moment(
    use_step: UseStep, new_run: NewRun, bfloat16: bool
) -> None:
    """Autocast caches bfloat16 copies of weights, which a step that moves a network twice would go on using."""
    batches: list[Batch] = []

    def remember(gan: Gan, batch: Batch) -> StepStatistics:
        batches.append(batch)
        return alternating_step(gan, batch)

    use_step("mlp", remember)
    config, run = replace(MLP, epochs=1, bfloat16=bfloat16), new_run()
    train(config, run)
    torch.manual_seed(config.seed)
    expected = build_gan(config, CPU)
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16, cache_enabled=False):
            alternating_step(expected, batch)
    tensors = load_checkpoint(run.last).tensors
    for name, network in (("generator", expected.generator), ("discriminator", expected.discriminator)):
        for key, value in network.state_dict().items():
            assert tensors[f"{name}.{key}"].dtype == torch.float32
            assert torch.equal(value, tensors[f"{name}.{key}"]), (name, key)


# -- steps that fail


def poisoned(preset: str, is_poisoned: Callable[[int], bool]) -> Step:
    """Return a preset's step that makes a gradient of the generator NaN in some steps of a run, counted from 0."""

    def step(gan: Gan, batch: Batch) -> StepStatistics:
        if not is_poisoned(batch.step):
            return PRESETS[preset].step(gan, batch)
        hook = next(gan.generator.parameters()).register_hook(lambda gradient: gradient * torch.nan)
        measured = PRESETS[preset].step(gan, batch)
        hook.remove()
        return measured

    return step


@pytest.mark.parametrize("config", [MLP, DCGAN, NANO], ids=["mlp", "dcgan", "nano"])
def test_a_step_whose_gradients_are_not_finite_is_skipped_and_reported(
    use_step: UseStep, new_run: NewRun, config: TrainingConfig
) -> None:
    use_step(config.preset, poisoned(config.preset, lambda step: step in (1, 6)))
    run, report = new_run(), SilentReport()
    assert train(config, run, report)
    assert report.skipped_steps == [2, 7]
    assert [line["skipped_steps"] for line in statistics(run)] == [1, 1]
    assert all(np.isfinite(line["generator_loss"]) for line in statistics(run))
    assert all(tensor.isfinite().all() for tensor in load_checkpoint(run.last).tensors.values())


def test_a_skipped_step_moves_neither_the_generator_nor_its_statistics_nor_the_average(
    use_step: UseStep, new_run: NewRun
) -> None:
    use_step("nano", poisoned("nano", lambda step: step == 1))
    run, checkpoint, states = new_run(), None, []
    for _ in range(2):
        train(NANO, run, stop=after(1), resume_from=checkpoint)
        checkpoint = load_checkpoint(run.last)
        states.append(checkpoint.tensors)
    before, left = states
    names = [name for name in before if name.startswith(("generator.", "average.", "generator_optimizer."))]
    assert any("running_var" in name for name in names)
    assert all(torch.equal(before[name], left[name]) for name in names)


@pytest.mark.parametrize(
    ("is_poisoned", "message", "skipped"),
    [
        (
            lambda step: step in (1, 2) or step >= MLP_STEPS + 1,
            "diverged: 3 steps in a row, up to step 9, had gradients that are not finite; earlier checkpoints are kept",
            [2, 3, 7, 8, 9],
        ),
        (lambda step: step in (5, 6, 8, 9), None, [6, 7, 9, 10]),
    ],
    ids=["three in a row", "two in a row, twice"],
)
def test_a_run_ends_after_too_many_skipped_steps_in_a_row_and_keeps_its_last_sound_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
    use_step: UseStep,
    new_run: NewRun,
    is_poisoned: Callable[[int], bool],
    message: str | None,
    skipped: list[int],
) -> None:
    assert MOST_SKIPPED_STEPS == 20
    monkeypatch.setattr(loop, "MOST_SKIPPED_STEPS", 3)
    use_step("mlp", poisoned("mlp", is_poisoned))
    run, report = new_run(), SilentReport()
    if message is None:
        assert train(MLP, run, report)
    else:
        with pytest.raises(TrainingError, match=f"^{message}.*start again with a lower --lr"):
            train(MLP, run, report)
    assert report.skipped_steps == skipped
    checkpoint = load_checkpoint(run.last)
    assert checkpoint.progress.epoch == (2 if message is None else 1)
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())


def test_a_run_that_is_stopped_among_skipped_steps_ends_as_if_it_had_never_stopped(use_step: UseStep, new_run: NewRun) -> None:
    use_step("mlp", poisoned("mlp", lambda step: step in (1, 2, 6)))
    whole, pieces = new_run(), new_run()
    train(MLP, whole)
    assert train_in_pieces(MLP, pieces, [2, 2]) == 2
    assert_same_run(pieces, whole)


def infinite_loss(gan: Gan, batch: Batch) -> StepStatistics:
    """Take a step, and measure a loss that is not finite in the second one of the second epoch."""
    measured = alternating_step(gan, batch)
    return replace(measured, generator_loss=torch.tensor(torch.inf)) if batch.step == MLP_STEPS + 1 else measured


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (infinite_loss, "diverged in epoch 2: a loss is not finite; start again with a lower --lr"),
        (
            poisoned("mlp", lambda step: step >= MLP_STEPS),
            f"diverged: all {MLP_STEPS} steps of epoch 2 were skipped; start again with a lower --lr",
        ),
    ],
    ids=["loss", "all steps"],
)
def test_a_run_with_a_spoilt_epoch_ends_and_keeps_its_last_sound_checkpoint(
    use_step: UseStep, new_run: NewRun, step: Step, message: str
) -> None:
    use_step("mlp", step)
    run = new_run()
    with pytest.raises(TrainingError, match=f"^{message}$"):
        train(MLP, run)
    assert load_checkpoint(run.last).progress.epoch == 1
    assert [line["epoch"] for line in statistics(run)] == [1]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")],
)
def test_too_little_memory_is_reported_in_a_line(use_step: UseStep, new_run: NewRun, error: Exception) -> None:
    def fail(gan: Gan, batch: Batch) -> StepStatistics:
        raise error

    use_step("mlp", fail)
    with pytest.raises(TrainingError, match="not enough memory for --batch-size 64: choose a smaller one"):
        train(MLP, new_run())


# -- batches and their order


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(new_run: NewRun) -> None:
    run, digits = new_run(), digits_for(MLP)
    with pytest.raises(TrainingError, match="batch size 64 exceeds the 63 training images"):
        train(MLP, run, digits=Digits(digits.images[:63], digits.labels[:63]))
    assert list(run.path.iterdir()) == []


@pytest.mark.parametrize(("images", "processes", "steps"), [(64, 1, 1), (127, 1, 1), (128, 1, 2), (330, 2, MLP_STEPS)])
def test_an_epoch_has_as_many_steps_as_there_are_whole_batches(images: int, processes: int, steps: int) -> None:
    assert count_steps(MLP, images, Processes(0, processes, 0, processes)) == steps


def test_a_batch_that_processes_cannot_divide_is_refused() -> None:
    with pytest.raises(TrainingError, match="batch size 64 cannot be divided among 3 processes: expected a multiple"):
        count_steps(MLP, 330, Processes(0, 3, 0, 3))


def test_image_order_of_a_seed_never_changes() -> None:
    # A run that is resumed under another version of numpy must find the same order.
    assert image_order(0, 0, 10).tolist() == [0, 7, 8, 6, 9, 5, 1, 3, 2, 4]
    assert image_order(3, 7, 10).tolist() == [6, 1, 5, 2, 9, 0, 7, 3, 8, 4]


def test_even_the_largest_seeds_have_different_orders() -> None:
    seeds = [2**53, 2**53 + 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
    assert len({tuple(image_order(seed, 1, 100).tolist()) for seed in seeds}) == len(seeds)
    torch.manual_seed(max(seeds))
