"""Training on rows that are not in memory: from a sample of them to all of them."""

import numpy as np

from .._em.race import best_start
from .._em.trainer import Trainer


class SampledTrainer(Trainer):
    """Trains a one-pass problem whose ``data`` are a sample of its rows; see ``Trainer``.

    EM on all rows starts from parameters, those that the best start ends with on the sample, and
    never from responsibilities, which would be an array of all rows.
    """

    def _start(self, previous):
        small, ends, paths = self.problem.on_sample(), [], []
        if self.n_experts == 1:
            small.start(np.ones((len(self.data.weight), 1))).step()
        else:
            starts = self._draw(self.data)
            settings = self.settings
            state, ends, paths = best_start(small, starts, settings.n_jobs, settings.verbose)
            small.restore(state)
            self._search_on(small, self.data, ends, paths)
            self.progress.say(f"The best of {len(paths)} starts on a sample", small.objective)
        self.problem.adopt(small)
        return ends, paths
