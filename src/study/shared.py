"""Optuna's study, shared by processes that create trials and end them themselves."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial


class SharedStudy(optuna.Study):
    """A study of which several processes run trials; how many there are is decided by `Claims`."""

    def begin(self, params: Mapping[str, Any], attributes: Mapping[str, Any]) -> optuna.Trial:
        """Return a new running trial, like `ask`, but created with its attributes at once.

        Args:
            params: fixed parameters; the sampler proposes the others.
            attributes: user attributes.
        """
        template = create_trial(
            state=TrialState.RUNNING,
            user_attrs=dict(attributes),
            system_attrs={"fixed_params": dict(params)} if params else {},  # as `enqueue_trial` stores them
        )
        return self.trial(self._storage.create_new_trial(self._study_id, template))

    def trial(self, trial_id: int) -> optuna.Trial:
        """Return a running trial whose missing parameters the sampler proposes."""
        self._thread_local.cached_all_trials = None  # as in `ask`: the sampler must see the trials as they are now
        return optuna.Trial(self, trial_id)

    def stop(self) -> None:
        """Does nothing: Optuna lets a sampler stop only `Study.optimize`, and `n_trials` says when a sweep ends."""
