"""Every exception a user of Madang can meet.

Each also derives from the built-in error that fits, so that `except ValueError` and `except OSError`
written for other libraries keep working.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MadangError(Exception):
    """Anything Madang refuses to do; the message says what was found, what was expected and what to do."""


class ConfigError(MadangError, ValueError):
    """A config.json, or an argument that overrides one of its keys, asks for something that is not possible."""


class InputError(MadangError, ValueError):
    """A call got texts, tensors or arguments it cannot work with."""


class UnknownNameError(MadangError, ValueError):
    """A name (model type, task, argument, strategy, column …) is not among the known ones."""


class WrongTypeError(InputError, TypeError):
    """A value of a type that cannot work there: an index that is no number, a function that returns no mapping."""


class RowIndexError(InputError, IndexError):
    """A row that the table does not have."""


class MissingSubsetError(UnknownNameError):
    """A dataset has several subsets and none was named; `known` lists them."""

    def __init__(self, message: str, known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.known = [str(name) for name in known]


class UnknownKeyError(UnknownNameError, KeyError):
    """A column or a split that is not there; `except KeyError` catches it too."""

    __str__ = Exception.__str__  # KeyError's own would print the quoted repr


class MissingFileError(MadangError, OSError):
    """A file, folder or repository that is needed is not there."""


class HubError(MadangError, OSError):
    """A hub refused what was asked, or could not be reached."""


class CheckpointError(MadangError, OSError):
    """A file is there but cannot be read, or its tensors do not fit the model."""


class OutOfMemoryError(MadangError, MemoryError):
    """A step of training needed more memory than there is; the message says what lowers it."""


class TrainingError(MadangError, ArithmeticError):
    """Training cannot go on: the loss is no number any more."""


class DatasetNotFoundError(MissingFileError, FileNotFoundError):
    """A dataset, or a revision of it, that is neither here nor on the hub, or that its reader may not see."""


class DataFilesNotFoundError(MissingFileError, FileNotFoundError):
    """A path or pattern that no data file fits, or a folder or repository without any."""


class DatasetScriptError(DataFilesNotFoundError, RuntimeError):
    """A dataset that is a program, which is not run, and no files of data."""


class UnreachableHubError(HubError, ConnectionError):
    """A hub that gave no answer, or that may not be asked because working offline was asked for."""


class DatasetGenerationError(InputError):
    """Data files that cannot be read, or that do not go together; the message names the file."""


class SplitsVerificationError(DatasetGenerationError):
    """The splits that were read are not those that the dataset's card announces."""


class UnexpectedSplitsError(SplitsVerificationError):
    """A split that the card does not announce."""


class ExpectedMoreSplitsError(SplitsVerificationError):
    """A split that the card announces and no file holds."""


class NonMatchingSplitsSizesError(SplitsVerificationError):
    """A split with other numbers of rows than the card announces."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that helps after a typing error: `Did you mean 'roberta'?`, or '' when nothing is close."""
    close = get_close_matches(name, [str(word) for word in known], n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a `kind` of thing called `name` that nobody knows; it names the nearest known one."""
    known = sorted(str(word) for word in known)
    listed = ", ".join(known[:40]) + (", …" if len(known) > 40 else "")
    return UnknownNameError(f"unknown {kind} {name!r}.{nearest(name, known)} Known: {listed}.")
