"""Named experts, unlike each other and each fitted on all rows, and their stack as one more."""

import numpy as np

from .._doors import ready
from .._em.loop import count
from .._experts.fitting import STACK
from .._parallel import few_threads
from ..gates import SoftmaxGate


class UnlikeExperts:
    """The experts of a list; ``trainer`` is the StackedTrainer that they are for."""

    def __init__(self, trainer):
        self.trainer = trainer

    def fit(self):
        """Fit all; the mixture (Candidate), its fitted experts, and those in training."""
        trainer, data = self.trainer, self.trainer.data
        names, densities, say = trainer.parts.names, trainer.densities, trainer.progress.say
        experts = trainer.make_experts(trainer.parts)
        everything, of_experts = np.ones((len(data.y), len(names))), count(len(names))
        say(f"Fitting {of_experts} on {count(len(data.y), 'row')}, out of fold")
        with experts.side_by_side(trainer.settings.n_jobs):
            leaf = ready()
            if leaf is None:
                experts.fit(everything)
            else:
                leaf.diverse.fit_of_list(experts, everything, trainer.splitting.is_by_row(data))
            say(f"Refitting {of_experts} on all rows")
            fitted = experts.finish(everything)
        say("Learning gate, tails and scales")
        with few_threads(everything.size):
            predictions = densities.standardise(experts.predictions)
            stacked, stack = densities.stack(predictions, fitted)
            densities.begin(stacked)
            means = np.concatenate([predictions, stacked[:, None]], axis=1)
            densities.take_own(experts.own_log_density, experts.own_cdf, means)
            gate = SoftmaxGate()
            chosen = densities.gated([*names, STACK], means, lambda: (gate, data.Z, gate.fit))
        return chosen, [*fitted, stack], experts
