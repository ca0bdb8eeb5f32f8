"""The trainer's errors, below the runtime's root class.

PocketganError
    DataError           a data set is missing, damaged or not of the expected kind
        DownloadError   it could not be downloaded
    CheckpointError     a checkpoint is missing, damaged, unsafe or of another preset
    TrainingError       a run cannot start or continue
        OtherProcessError   another process of the run has failed
    TrainExtraMissingError  a package of the extra `train` is not installed
    JudgeError          a judge's file is missing or damaged, or its input is not an image
    ExportError         a model cannot be exported, or the exported file fails a check
        RefusedExportError  (in export/verify.py) the same, with what each check found
"""

from pocketgan.errors import PocketganError


class DataError(PocketganError):
    """A data set is missing, damaged, or not of the expected kind."""


class DownloadError(DataError):
    """A data set could not be downloaded from any of its mirrors."""


class CheckpointError(PocketganError):
    """A checkpoint is missing, damaged, unsafe to load, or belongs to another preset."""


class TrainingError(PocketganError):
    """A training run cannot start or continue."""


class OtherProcessError(TrainingError):
    """Another process of the same run has failed, so this one cannot continue."""


class ExportError(PocketganError):
    """A generator cannot be exported, or the exported file failed one of its checks."""


class JudgeError(PocketganError):
    """A judge's file is missing or not the published one, or its input is not images that it can judge."""


class TrainExtraMissingError(PocketganError):
    """A package that the trainer needs is not installed."""
