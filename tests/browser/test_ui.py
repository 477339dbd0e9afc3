"""What a person finds in the MLflow UI after three runs and a sweep, seen through a real browser."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from src.links import EXPERIMENTS, address
from tests.support.browser import PATIENCE, Shot, Tracked, Ui

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)


def open_runs(page: Page, ui: Ui) -> None:
    """The experiment, as somebody opens it who has come to the UI's first page."""
    page.goto(ui.base)
    page.get_by_role("link", name="convlab").first.click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def open_results(page: Page, ui: Ui) -> None:
    """The runs with the columns of the saved view, at the address that `make ui` prints."""
    page.goto(ui.runs)
    expect(column(page, "metrics.`test_accuracy`")).to_be_visible()
    page.get_by_role("alert").get_by_role("button").last.click()  # "you're viewing a shared view"


def open_run(page: Page, ui: Ui, run: Any, tab: str = "Overview") -> None:
    page.goto(ui.page_of(run))
    expect(page.get_by_role("heading", name=run.info.run_name)).to_be_visible()
    page.get_by_role("tab", name=tab).click()


def column(page: Page, name: str) -> Locator:
    return page.get_by_role("grid").locator(f".ag-header-cell[col-id='{name}']")


def cell(page: Page, run: Any, name: str) -> Locator:
    return page.locator(f"[role=row][row-id='{run.info.run_id}'] [role=gridcell][col-id='{name}']")


def run_link(page: Page, run: Any) -> Locator:
    return cell(page, run, "attributes.`Run Name`").get_by_role("link", name=run.info.run_name)


def unfold(page: Page, run: Any) -> None:
    cell(page, run, "attributes.`Run Name`").get_by_role("button").click()


def open_folder(page: Page, name: str) -> None:
    """Opens a folder of the artifacts and waits until it has unfolded: a click before that leaves it half open."""
    page.get_by_text(name, exact=True).click()
    page.wait_for_function(
        """name => {
            const folder = [...document.querySelectorAll("main li")].find(item => item.textContent.includes(name));
            const last = [...(folder?.querySelectorAll("li") ?? [])].at(-1);
            return last && folder.getBoundingClientRect().bottom >= last.getBoundingClientRect().bottom;
        }""",
        arg=name,
    )


def expect_curves(page: Page, metric: str, count: int) -> None:
    """Waits until the metric's chart has this many curves; a single point is none, and each is drawn twice."""
    page.wait_for_function(
        """([metric, count]) => {
            const cards = [...document.querySelectorAll("[data-testid=experiment-view-compare-runs-card]")];
            const card = cards.find(card => card.querySelector("h4")?.textContent === metric);
            const lines = card ? [...card.querySelectorAll(".cartesianlayer path.js-line")] : [];
            const drawn = lines.map(line => line.getAttribute("d") ?? "").filter(path => path.includes("L"));
            return new Set(drawn).size === count;
        }""",
        arg=[metric, count],
    )


def accuracy_of(run: Any) -> str:
    return str(run.data.metrics["test_accuracy"])


def shown(value: float) -> str:
    """A metric as the UI shows it."""
    return str(int(value)) if value == int(value) else str(value)


def is_drawn(picture: Locator) -> bool:
    return bool(picture.evaluate("image => image.complete && image.naturalWidth > 100"))


def test_the_experiment_opens_on_its_table_of_runs(page: Page, ui: Ui, tracked: Tracked):
    open_runs(page, ui)
    for run in (*tracked.plain, tracked.sweep):
        expect(run_link(page, run)).to_be_visible()
    assert tracked.sweep.info.run_name == "lenot-search"
    assert [run.info.run_name for run in tracked.plain] == ["lenot-mnist-s1", "lenet5-mnist-s1", "dense-mnist-s1"]


def test_the_saved_view_shows_settings_and_scores_of_each_run(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_results(page, ui)
    for run in tracked.plain:
        for metric in ("best_val_accuracy", "test_accuracy", "best_epoch"):
            expect(cell(page, run, f"metrics.`{metric}`")).to_have_text(shown(run.data.metrics[metric]))
        for name in ("model.name", "dataset.name", "optimizer.learning_rate", "seed"):
            expect(cell(page, run, f"params.`{name}`")).to_have_text(run.data.params[name])
    shot(page, "ui_runs")


def test_trials_nest_under_their_sweep_and_say_how_they_ended(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_results(page, ui)
    expect(run_link(page, tracked.trials[0])).to_have_count(0)
    unfold(page, tracked.sweep)
    for trial in tracked.trials:
        expect(run_link(page, trial)).to_be_visible()
        expect(cell(page, trial, "tags.`trial_state`")).to_have_text(trial.data.tags.get("trial_state", "-"))
        best = trial.data.metrics.get("best_val_accuracy")  # a trial that failed has none
        expect(cell(page, trial, "metrics.`best_val_accuracy`")).to_have_text("-" if best is None else shown(best))
    best = shown(tracked.best_trial.data.metrics["best_val_accuracy"])
    expect(cell(page, tracked.sweep, "metrics.`best_val_accuracy`")).to_have_text(best)
    shot(page, "ui_sweep")


def test_charts_draw_the_curve_of_every_run(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_results(page, ui)
    page.locator("label:has(input[value='CHART'])").click()
    page.get_by_placeholder("Search metric charts").fill("accuracy")
    for metric in ("accuracy", "val_accuracy"):
        expect_curves(page, metric, len(tracked.plain))
    shot(page, "ui_charts")


def test_the_pictures_of_epochs_are_a_film(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_results(page, ui)
    page.locator("label:has(input[value='CHART'])").click()
    page.get_by_role("button", name="Add chart").first.click()
    page.get_by_role("menuitem", name="Image grid").click()
    chart = page.get_by_role("dialog").filter(has_text="Add new chart")
    chart.get_by_role("combobox").nth(1).click()
    for key in ("feature maps", "mistakes"):
        page.get_by_role("option", name=key).click()
    page.keyboard.press("Escape")
    chart.get_by_text("Show run parameters").click()
    epochs = max(int(run.data.params["training.epochs"]) for run in tracked.plain)
    slider = chart.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuemax", str(epochs))
    for _ in range(epochs):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", str(epochs))
    pictures = chart.locator("img")
    expect(pictures).to_have_count(2 * len(tracked.plain) - 1)  # a network without convolutions has no feature maps
    page.wait_for_function(
        "dialog => [...dialog.querySelectorAll('img')].every(image => image.naturalWidth > 100)",
        arg=chart.element_handle(),
    )
    shot(page, "ui_film")


def test_the_metrics_of_a_run_are_curves(page: Page, ui: Ui, tracked: Tracked):
    open_run(page, ui, tracked.plain[0], "Model metrics")
    for metric in ("accuracy", "loss", "learning_rate"):
        page.get_by_placeholder("Search metric charts").fill(metric)  # a chart that is out of sight is not drawn
        expect_curves(page, metric, 1)


def test_a_run_describes_itself_first(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    run = tracked.plain[0]
    open_run(page, ui, run)
    main = page.get_by_role("main")
    expect(main).to_contain_text("network: lenot")
    expect(main).to_contain_text(f"test accuracy {run.data.metrics['test_accuracy']:.4f}")
    shot(page, "ui_run")


@pytest.mark.parametrize("picture", ["learning_curves", "confusion_matrix", "worst_mistakes", "grad_cam"])
def test_pictures_of_a_run_are_shown(page: Page, ui: Ui, tracked: Tracked, shot: Shot, picture: str):
    open_run(page, ui, tracked.plain[0], "Artifacts")
    open_folder(page, "figures")
    page.get_by_text(f"{picture}.png", exact=True).click()
    shown = page.get_by_role("img", name=f"figures/{picture}.png")
    expect(shown).to_be_visible()
    assert is_drawn(shown)
    if picture == "learning_curves":
        shot(page, "ui_artifacts")


def test_the_tables_of_a_run_are_shown(page: Page, ui: Ui, tracked: Tracked):
    open_run(page, ui, tracked.plain[0], "Artifacts")
    open_folder(page, "tables")
    page.get_by_text("layers.csv", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Conv2D")


def test_the_page_of_a_sweep_is_shown_with_its_plots(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_run(page, ui, tracked.sweep, "Artifacts")
    page.get_by_text("sweep.html", exact=True).click()
    plots = page.frame_locator("iframe").locator(".js-plotly-plot .main-svg")
    expect(plots.first).to_be_visible()
    shot(page, "ui_sweep_page")


def test_the_description_of_a_sweep_leads_to_its_best_trial(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    best = tracked.best_trial
    open_run(page, ui, tracked.sweep)
    first = page.get_by_role("main").get_by_role("table").first.get_by_role("link").first
    expect(first).to_have_text(best.info.run_name)
    page.get_by_text("Show more").click()
    shot(page, "ui_best")
    with page.expect_popup() as opened:
        first.click()
    expect(opened.value.get_by_role("heading", name=best.info.run_name)).to_be_visible()
    assert best.info.run_id in opened.value.url
    expect_side_of_training(opened.value)


def test_three_runs_are_compared_by_what_differs(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    open_runs(page, ui)
    for run in tracked.plain:
        page.locator(f"[role=row][row-id='{run.info.run_id}']").get_by_role("checkbox").first.check(force=True)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Comparing 3 Runs")).to_be_visible()
    page.get_by_role("switch", name="Parameters - Show diff only").click()
    rows = page.get_by_role("row")
    expect(rows.filter(has=page.get_by_role("rowheader", name="model.name"))).to_contain_text("lenot")
    expect(rows.filter(has=page.get_by_role("rowheader", name="dataset.name"))).to_have_count(0)
    metrics = page.get_by_role("grid").last  # the first has the names
    for run in tracked.plain:
        for metric in ("best_val_accuracy", "test_accuracy"):
            expect(metrics).to_contain_text(str(round(run.data.metrics[metric], 3)))
    page.get_by_role("button", name="Visualizations").click()
    shot(page, "ui_compare")


def test_the_page_of_a_model_shows_its_metrics_params_and_versions(page: Page, ui: Ui, tracked: Tracked, shot: Shot):
    run = tracked.plain[0]
    (logged,) = run.outputs.model_outputs
    open_run(page, ui, run)
    page.get_by_role("link", name="lenot", exact=True).last.click()  # the others open another tab
    expect(page.get_by_role("heading", name="lenot", exact=True)).to_be_visible()
    assert logged.model_id in page.url
    accuracy = page.get_by_role("row").filter(has=page.get_by_role("cell", name="test_accuracy", exact=True))
    expect(accuracy).to_contain_text(accuracy_of(run))
    expect(page.get_by_role("heading", name="Parameters")).to_contain_text(f"({len(run.data.params)})")
    expect(page.get_by_role("link", name="mnist").last).to_have_attribute("href", "#/models/mnist/versions/1")
    shot(page, "ui_model")


def test_a_registered_version_shows_its_alias_its_run_and_its_signature(
    page: Page, ui: Ui, tracked: Tracked, shot: Shot
):
    page.goto(f"{ui.base}/#/models")
    page.get_by_role("link", name="mnist", exact=True).click()
    version = page.get_by_role("row").filter(has=page.get_by_role("link", name="Version 1"))
    expect(version).to_contain_text("champion")
    page.get_by_role("link", name="Version 1").click()
    main = page.get_by_role("main")
    expect(main.get_by_role("status", name="champion")).to_be_visible()
    expect(main.get_by_role("link", name=tracked.plain[0].info.run_name)).to_be_visible()
    shot(page, "ui_version")
    main.get_by_text("Inputs (1)").click()
    main.get_by_text("Outputs (1)").click()
    expect(main).to_contain_text("dtype: uint8, shape: [-1,28,28,1]")
    expect(main).to_contain_text("dtype: float32, shape: [-1,10]")


# --- the first visit -----------------------------------------------------------------------------------------------


def expect_side_of_training(page: Page) -> None:
    """The menu at the left is that of trained models."""
    expect(page.get_by_role("link", name="Model registry")).to_be_visible()
    expect(page.get_by_role("link", name="Prompts")).to_have_count(0)


def test_the_address_that_make_ui_prints_shows_the_runs_with_their_accuracy(new_page: Page, ui: Ui, tracked: Tracked):
    new_page.goto(ui.runs)
    for run in tracked.plain:
        expect(run_link(new_page, run)).to_be_visible()
        expect(cell(new_page, run, "metrics.`test_accuracy`")).to_have_text(accuracy_of(run))
    expect_side_of_training(new_page)


def test_the_address_that_a_training_prints_leads_to_its_run(new_page: Page, ui: Ui, tracked: Tracked):
    new_page.goto(ui.at(tracked.said))
    expect(new_page.get_by_role("heading", name=tracked.plain[0].info.run_name)).to_be_visible()
    expect_side_of_training(new_page)


def test_the_address_that_a_registration_prints_leads_to_the_version(new_page: Page, ui: Ui, tracked: Tracked):
    new_page.goto(ui.at(tracked.registered))
    main = new_page.get_by_role("main")
    expect(main.get_by_role("heading", name="Version 1")).to_be_visible()
    expect(main.get_by_role("link", name=tracked.plain[0].info.run_name)).to_be_visible()
    expect_side_of_training(new_page)


def test_the_list_of_experiments_is_on_the_side_of_training_too(new_page: Page, ui: Ui):
    new_page.goto(address(ui.base, EXPERIMENTS))
    expect(new_page.get_by_role("link", name="convlab").first).to_be_visible()
    expect_side_of_training(new_page)
