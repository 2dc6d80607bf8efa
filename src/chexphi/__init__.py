"""CheX-Phi4MM: train a chest-radiograph vision-language model on its answer and its reasoning.

What most people need is here. It is imported when it is first used, so `import chexphi` takes no time.

>>> import chexphi
>>> reference = "<think>There is a small left effusion.</think><answer>yes</answer>"
>>> completion = "<think>There is a left effusion.</think><answer>yes</answer>"
>>> chexphi.score(completion, reference).accuracy
1.0
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:  # for type checkers and completion; a test holds that both branches name the same
    from chexphi.data.read import read_examples
    from chexphi.evaluation.compare import compare
    from chexphi.graph.open import open_extractor
    from chexphi.models.policy import load as load_model
    from chexphi.rewards.callables import AccuracyReward, GraphReward
    from chexphi.rewards.rules import AnswerRule, GraphRule
    from chexphi.rewards.score import score
    from chexphi.rewards.scored import Score
    from chexphi.run_frames import load
    from chexphi.schema import InputError
else:
    _MODULE_AND_NAME = {
        "score": "chexphi.rewards.score:score",
        "Score": "chexphi.rewards.scored:Score",
        "AccuracyReward": "chexphi.rewards.callables:AccuracyReward",
        "GraphReward": "chexphi.rewards.callables:GraphReward",
        "AnswerRule": "chexphi.rewards.rules:AnswerRule",
        "GraphRule": "chexphi.rewards.rules:GraphRule",
        "open_extractor": "chexphi.graph.open:open_extractor",
        "read_examples": "chexphi.data.read:read_examples",
        "load": "chexphi.run_frames:load",
        "load_model": "chexphi.models.policy:load",
        "compare": "chexphi.evaluation.compare:compare",
        "InputError": "chexphi.schema:InputError",
    }

    def __getattr__(name):
        """A public name, imported on its first use (PEP 562)."""
        if name not in _MODULE_AND_NAME:
            raise AttributeError(f"module 'chexphi' has no attribute {name!r}")
        module, _, attribute = _MODULE_AND_NAME[name].partition(":")
        try:
            value = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            from chexphi.installation import install_line

            message = f"chexphi.{name} needs {error.name}, which is not installed: {install_line('train')}"
            raise ImportError(message) from error
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *_MODULE_AND_NAME})


__all__ = [
    "AccuracyReward", "AnswerRule", "GraphReward", "GraphRule", "InputError", "Score", "compare", "load",
    "load_model", "open_extractor", "read_examples", "score",
]  # fmt: skip
