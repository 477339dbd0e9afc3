"""Optuna's study, shared by processes that create trials and end them themselves."""

import copy
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.schema import violations

COSTS = "costs"  # the user attribute: what a trial's network costs, measured before it is trained


class SharedStudy(optuna.Study):
    """A study of which several processes run trials; how many there are is decided by `Claims`.

    Attributes:
        limits: of the costs of a network. Samplers see which trials are over them now. Optuna keeps a violation
            forever, but a study may continue with other limits.
    """

    limits: Mapping[str, float] = {}

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

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """Return the trials, as samplers and `get_trials` ask for them."""
        return [with_violations(trial, self.limits) for trial in super()._get_trials(deepcopy, states, use_cache)]

    def stop(self) -> None:
        """Does nothing: Optuna lets a sampler stop only `Study.optimize`, and `n_trials` says when a sweep ends."""


def with_violations(trial: FrozenTrial, limits: Mapping[str, float]) -> FrozenTrial:
    """Return a trial whose constraints are those of these limits. A trial whose costs are not known is within them."""
    wanted = violations(trial.user_attrs.get(COSTS, {}), limits)
    if not trial.state.is_finished() or trial.constraints == wanted:
        return trial
    changed = copy.copy(trial)
    changed.system_attrs = {
        name: value for name, value in trial.system_attrs.items() if not name.startswith("constraints")
    }
    for name, violation in wanted.items():
        changed.set_constraint(name, violation)
    return changed
