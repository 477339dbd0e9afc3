"""The importances of parameters as bars."""

from src.figures.importances import Importances, importances_data, plot_importances
from src.results import Parameter
from tests.support.figures import visible
from tests.support.trials import METRIC

KNOWN = [Parameter("b", 0.75), Parameter("a", 0.25)]


def test_parameters_of_unknown_importance_have_no_bar() -> None:
    assert importances_data([*KNOWN, Parameter("c")]) == Importances(["b", "a"], [0.75, 0.25])
    assert importances_data([Parameter("c")]) is None


def test_the_most_important_parameter_is_on_top() -> None:
    (axes,) = visible(plot_importances(Importances(["b", "a"], [0.75, 0.25]), METRIC))
    places = {label.get_text(): tick for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert places["b"] > places["a"]
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25]
