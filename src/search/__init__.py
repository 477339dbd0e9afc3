"""Optuna: which trials a study has, who proposes their parameters, and who may run one.

Several processes, terminals and machines may work on one study. Optuna's own locks do not hold on SQLite, so a trial is
claimed, given up and told under a lock of ours (`claims`, `locks`): the number of trials is exact, whoever is killed.
"""

from src.search.claims import Claims, Verdict
from src.search.numbers import ranked, trial_rows
from src.search.sampling import check_sampler, picker
from src.search.storage import Storage, open_storage
from src.search.studies import check_setting, open_study, unique_id

__all__ = [
    "Claims",
    "Storage",
    "Verdict",
    "check_sampler",
    "check_setting",
    "open_storage",
    "open_study",
    "picker",
    "ranked",
    "trial_rows",
    "unique_id",
]
