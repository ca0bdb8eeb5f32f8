"""What a training run is told: one frozen record, saved with the run and restored from it."""

import json
from dataclasses import asdict, dataclass, fields

from pocketgan.address import SEED_LIMIT
from pocketgan_trainer.errors import TrainingError


@dataclass(frozen=True)
class TrainingConfig:
    """The hyper-parameters of one run. Presets hold the defaults; nothing else does."""

    preset: str
    """Name of the GAN system: a key of `presets.PRESETS`."""
    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images in one step."""
    learning_rate: float
    """Adam's step size, for both networks."""
    bfloat16: bool
    """Compute the networks in bfloat16 (the weights stay float32), where the device does so natively."""
    seed: int = 0
    """Seed of the first weights, the latents, the dropout masks and the order of the images."""

    def __post_init__(self) -> None:
        """Raise TrainingError if a value makes no sense."""
        for name, value, least in (("epochs", self.epochs, 1), ("batch size", self.batch_size, 2), ("seed", self.seed, 0)):
            if value < least:
                raise TrainingError(f"{name} {value} is out of range: expected at least {least}")
        if self.seed >= SEED_LIMIT:
            raise TrainingError(f"seed {self.seed} is out of range: expected at most {SEED_LIMIT - 1}")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"learning rate {self.learning_rate} is out of range: expected between 0 and 1")

    def to_json(self) -> str:
        """Return the config as a JSON object of its fields."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "TrainingConfig":
        """Read back what `to_json` wrote. Raises TrainingError if fields are missing, unknown or of a wrong type."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise TrainingError(f"training config is not JSON: {error}") from error
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != types.keys():
            raise TrainingError(f"training config does not hold exactly the fields {', '.join(types)}")
        wrong = [name for name, expected in types.items() if type(values[name]) is not expected]
        if wrong:
            raise TrainingError(f"training config has a value of the wrong type in: {', '.join(wrong)}")
        return cls(**values)
