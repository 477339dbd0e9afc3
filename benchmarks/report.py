"""Write the tables of README.md and docs/results.md between their markers, and a picture, from benchmarks' results.

python -m benchmarks.report          or make results

Every figure comes from `benchmarks/results/*.json`, which `--publish` writes. A table whose file is missing stays as it
is; those of trials and of other tools have their headings with them, so there is none before the first results.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.ablation import PARTS
from benchmarks.cores import ONE_CORE
from benchmarks.measuring import BEFORE, PUBLISHED, ROOT, ratio
from benchmarks.setting_speed import NONE, SETTINGS
from src.figures.colors import BLUE, GRAY, ORANGE

DOCUMENTS = (ROOT / "README.md", ROOT / "docs/results.md")
PICTURE = ROOT / "docs/images/speed.png"
NETWORKS = {"lenot": "LeNot", "cnn_mnist_v2": "32-64-64 convnet"}
KINDS = {
    "notebook": "notebook, nothing recorded",
    "autolog": "notebook with autolog",
    "ours": "`src.train`",
    "fast": "`src.train training=fast`",
}
PEERS = {
    "ours": "convlab",
    "keras tuner": "KerasTuner with autolog",
    "ray tune": "Ray Tune with its MLflow callback",
    "optuna": "Optuna script with its MLflow callback",
    "optuna heartbeat": "the same script with heartbeats",
}

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}  # widest first

# Name of a benchmark, one of its ratios, the two things that it compares.
RATIOS = (
    ("train_speed", "lenot: epoch_seconds of ours / bare", "seconds: an epoch of LeNot / its steps alone"),
    (
        "train_speed",
        "cnn_mnist_v2: epoch_seconds of ours / bare",
        "seconds: an epoch of the convnet / its steps alone",
    ),
    ("tracking_overhead", "local / off", "seconds: epochs of LeNot recorded in SQLite / not recorded"),
    ("tracking_overhead", "server / off", "seconds: epochs of LeNot recorded on a server / not recorded"),
    ("metrics_overhead", "all / accuracy", "seconds: epochs of LeNot with all metrics / with accuracy alone"),
    ("checkpoints", "every / none", "seconds: epochs of LeNot with a checkpoint after each / without checkpoints"),
    ("checkpoints", "order / none", "seconds: the seeded order of 60,000 images / an epoch of LeNot"),
    ("checkpoints", "order / shuffle", "seconds: the seeded order of 60,000 images / tf.data's shuffle of them"),
    ("startup", "typo / bare typo", "seconds: the answer to a typo / that of a Hydra app with one file"),
    ("startup", "bad value / bare bad value", "seconds: the answer to a bad value / that of a Hydra app with one file"),
    ("startup", "configuration / bare configuration", "seconds: `--cfg job` / that of a Hydra app with one file"),
    ("startup", "help / bare help", "seconds: `--help` / that of a Hydra app with one file"),
    ("sweep_speed", "trial_seconds of 2 workers / shell", "seconds: a trial with two workers / in a shell loop"),
    (
        "sweep_speed",
        "trial_seconds of 2 workers / autolog",
        "seconds: a trial with two workers / in a script with autolog",
    ),
    (
        "sweep_speed",
        "trial_seconds of 2 workers / plain",
        "seconds: a trial with two workers / in a plain script",
    ),
    (
        "transfer_speed",
        "epoch_seconds of cached / every epoch",
        "seconds: an epoch after the first, on a frozen backbone's features / with `model.fit`",
    ),
    *(
        ("setting_speed", f"{name} / {NONE}", f"seconds: an epoch of LeNot with `{typed}` / without it")
        for name, typed in SETTINGS.items()
        if name != NONE
    ),
    (
        "input_speed",
        "arrays/ours / what dense takes",
        "images per second: read / trained by `dense`, the smallest network",
    ),
    (
        "input_speed",
        "arrays/ours / arrays/tf.data, later epochs",
        "images per second: from arrays / `tf.data` over float arrays",
    ),
    (
        "input_speed",
        "folder/ours / folder/keras, later epochs",
        "images per second: from a folder, after the first epoch / `image_dataset_from_directory`",
    ),
    (
        "input_speed",
        "folder/ours / folder/keras, first epoch",
        "images per second: from a folder, first epoch, in which it is decoded / `image_dataset_from_directory`",
    ),
)

Results = dict[str, Any]


def speed_table(results: Results) -> str:
    """Return the table of epochs, whole commands, memory and accuracy of every contestant, for both networks."""
    columns = ["one epoch", "whole command", "after the last epoch", "peak memory", "test accuracy, each seed"]
    lines = [f"| MNIST, {results['epochs']} epochs | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for network, shown in NETWORKS.items():
        for kind, label in KINDS.items():
            found = results["medians"].get(f"{network}/{kind}")
            if found is None:
                continue
            reference = notebook(results, network)
            measured = results["repetitions"]
            accuracies = [each["test_accuracy"] for each in measured[f"{network}/{kind}"]]
            timed = [
                (found[name], ratio(measured, f"{network}/{kind}", reference, name))
                for name in ("epoch_seconds", "command_seconds")
            ]
            cells = [
                f"{shown}, {label}",
                *(f"{seconds:.1f} s ({share:.2f})" for seconds, share in timed),
                f"{found['closing_seconds']:.1f} s" if "closing_seconds" in found else "",
                f"{found['peak_mb'] / 1000:.2f} GB",
                _accuracies(accuracies),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _measured(results)])


def notebook(results: Results, network: str) -> str:
    """Return the contestant that all others are compared with."""
    name = f"{network}/notebook"
    if name not in results["repetitions"]:
        raise SystemExit(f"train_speed.json has no {name}, which the other figures are compared with")
    return name


def recipes_table(results: Results) -> str:
    """Return the table of published and measured test accuracies; a network without a published one has a dash."""
    lines = ["| recipe | published test accuracy | measured, each seed | minutes |", "|---|---|---|---|"]
    for name, found in results["repetitions"].items():
        published = results["published"].get(name)
        accuracies = [each["test_accuracy"] for each in found]
        cells = [
            f"`experiment={name}`" if published else f"`model={name}`",
            f"{published:.4f}" if published else "-",
            _accuracies(accuracies),
            f"{results['medians'][name]['minutes']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _measured(results)])


def ablation_table(results: Results) -> str:
    """Return the table of a recipe's parts: what each adds to the baseline, and to the recipe before it."""
    lines = [
        "| part | setting | added to the baseline | added to the recipe so far | in the recipe |",
        "|---|---|---|---|---|",
    ]
    alone, steps = results["alone"], results["steps"]
    others = sorted((name for name in alone if name not in steps), key=lambda name: -alone[name]["mean"])
    for name in (*steps, *others):
        cells = [
            name.replace("_", " "),
            f"`{' '.join(PARTS[name])}`",
            _points(alone[name]),
            _points(steps[name]) if name in steps else "",
            "yes" if set(PARTS[name]) <= set(results["recipe"]) else "no",
        ]
        lines.append(_row(*cells))
    tested = ", ".join(f"{_accuracies(seeds)} {name}" for name, seeds in results["test_accuracy"].items())
    settings = f"{results['epochs']} epochs"
    return "\n".join([*lines, "", f"Test accuracy after {settings}: {tested}.", "", _measured(results)])


def searches_table(results: Results) -> str:
    """Return the table of the networks that searches have found."""
    titles = ["search", "parameters", "validation accuracy", "test accuracy, each seed", "trials"]
    titles += ["minutes of the search", "of each training"]
    lines = [_row(*titles), _row(*["---"] * len(titles))]
    for name, found in results["searches"].items():
        skipped = found["trials"] - found["trained"]
        cells = [
            f"`hparams_search={name}`",
            f"{found['parameters']:,}",
            f"{found['val_accuracy']:.4f}",
            _accuracies([each["test_accuracy"] for each in results["repetitions"][name]]),
            f"{found['trials']}" + (f", {skipped} of them over the limit" if skipped else ""),
            f"{found['minutes']:.0f}",
            f"{results['medians'][name]['minutes']:.0f}",
        ]
        lines.append(_row(*cells))
    return "\n".join([*lines, "", _measured(results)])


def _points(gain: dict[str, float]) -> str:
    """Return a gain in points of accuracy, hundredths, with its standard error."""
    return f"{100 * gain['mean']:+.2f} ± {100 * gain['error']:.2f}"


def trial_table(results: Results) -> str:
    """Return the fixed cost of a trial for both spaces, and the memory of a worker, with those of another checkout."""
    middle = results["medians"]
    columns = ["besides its epochs", "whole trial", "first epoch", "later epoch"]
    lines = [f"| trials of {results['epochs']} epochs | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name, found in middle.items():
        if "fixed_seconds" in found:
            names = ["fixed_seconds", "trial_seconds", "first_epoch_seconds", "later_epoch_seconds"]
            lines.append(_row(name, *(f"{found[figure]:.2f} s" for figure in names)))
    parts = ["\n".join(lines)] if len(lines) > 2 else []
    peaks = {name: found for name, found in middle.items() if "workers" in found}
    if peaks:
        counts = [figure.removeprefix("peak_mb_") for figure in next(iter(peaks.values())) if "peak_mb_" in figure]
        lines = [_row("peak memory of a worker", *(f"{count} trials" for count in counts), "workers")]
        lines.append("|---" * (2 + len(counts)) + "|")
        for name, found in peaks.items():
            sizes = [f"{found[f'peak_mb_{count}'] / 1000:.2f} GB" for count in counts]
            lines.append(
                _row(f"new networks{BEFORE if name.endswith(BEFORE) else ''}", *sizes, f"{found['workers']:.0f}")
            )
        parts.append("\n".join(lines))
    return "\n\n".join(["### The cost of a trial", *parts, _measured(results)])


def sweep_table(results: Results) -> str:
    """Return the seconds around trials for each size of a study, with those of another checkout."""
    columns = ["from trial to trial, nothing trained", "`src.sweep status`", "the finished command again", "its report"]
    names = ["next_trial_seconds", "status_seconds", "repeat_seconds", "report_seconds"]
    lines = [f"| trials in the study | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for name, found in results["medians"].items():
        seconds = [f"{found[figure]:.2f} s" for figure in names]
        lines.append(_row(f"{int(name.removesuffix(BEFORE)):,}{_suffix(name)}", *seconds))
    return "\n".join(["### The cost of a large study", "", *lines, "", _measured(results)])


def peers_table(results: Results) -> str:
    """Return the table of the same search with other tools; seconds also as a multiple of convlab's."""
    columns = ["one trial", "whole search", "peak memory", "trials lost", "search ended"]
    heading = f"{results['trials']} trials of {results['epochs']} epochs, two at a time"
    lines = [f"| {heading} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    measured = results["repetitions"]
    for name, label in PEERS.items():
        if name not in measured:
            continue
        found, each = results["medians"][name], measured[name]
        times = []
        for figure in ("trial_seconds", "command_seconds"):
            share = f" ({ratio(measured, name, 'ours', figure):.2f})" if "ours" in measured else ""
            times.append(f"{found[figure]:.1f} s{share}")
        lost = ", ".join(f"{one['lost_trials']:.0f}" for one in each)
        ended = sum(one["search_ended"] for one in each)
        lines.append(_row(label, *times, f"{found['peak_mb'] / 1000:.2f} GB", lost, f"{ended:.0f} of {len(each)}"))
    explanation = (
        "LeNot on 10,000 images of MNIST. All draw at random from the same values. The multiple of convlab's time is "
        "in parentheses. Memory is that of all processes together. The last two columns are of a second search, in "
        "which the process that trains was killed: a worker of convlab or KerasTuner, the process in which Ray trains,"
        " one of the two of the script. A trial is lost if it began, did not end, and was not tried again. The numbers"
        " are those of each repetition. A search has ended if its remaining processes ended without help."
        " The other tools: "
        f"{', '.join(f'{name} {version}' for name, version in results['tools'].items())}."
    )
    return "\n".join(["### The same search with other tools", "", *lines, "", explanation, "", _measured(results)])


def cores_table(results: Results) -> str:
    """Return the table of epochs on several cores, as a share of those on one core with whole batches."""
    lines = [_row("cores", "parts of a batch", "threads of an operation", *NETWORKS.values())]
    lines.append(_row(*["---"] * (3 + len(NETWORKS))))
    measured, middle = results["repetitions"], results["medians"]
    for setting in dict.fromkeys(name.partition(": ")[2] for name in measured):
        cells = []
        for network in NETWORKS:
            name, first = f"{network}: {setting}", f"{network}: {ONE_CORE}"
            found = name in measured and first in measured
            share = ratio(measured, name, first, "epoch_seconds") if found else 0
            cells.append(f"{middle[name]['epoch_seconds']:.2f} s ({share:.2f})" if found else "")
        counts = [count.split()[0] for count in setting.split(", ")]
        lines.append(_row(*counts, *cells))
    return "\n".join(["### Several cores", "", *lines, "", _measured(results)])


def _suffix(name: str) -> str:
    return BEFORE if name.endswith(BEFORE) else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def ratios_table(results: dict[str, Results]) -> str:
    """Return the table of the other benchmarks' ratios; '' if none was measured."""
    lines = []
    for name, of_what, meaning in RATIOS:
        if of_what in results.get(name, {}).get("ratios", {}):
            content = results[name]
            cells = [meaning, f"{content['ratios'][of_what]:#.3g}", f"`benchmarks.{name}`", content["date"]]
            lines.append(_row(*cells, f"{_repetitions(content)}, {_machine(content)}"))
    return (
        "\n".join(["| ours / theirs | ratio | measured by | on | |", "|---|---|---|---|---|", *lines]) if lines else ""
    )


def _accuracies(seeds: list[float]) -> str:
    return f"{statistics.fmean(seeds):.4f} ({', '.join(f'{each:.4f}' for each in seeds)})"


def _measured(results: Results) -> str:
    versions = results["versions"]
    return (
        f"`{results['command']}` on {results['date']}: {_repetitions(results)}, {_machine(results)}, "
        f"TensorFlow {versions['tensorflow']}, MLflow {versions['mlflow']}."
    )


def _machine(results: Results) -> str:
    """Return the cores and the processor, with its widest vector instructions, which decide much of the speed."""
    machine = results["machine"]
    widest = [shown for name, shown in VECTORS.items() if name in machine["instructions"]][:1]
    return f"{machine['cores']} cores ({', '.join([machine['processor'], *widest])})"


def _repetitions(results: Results) -> str:
    counts = [len(found) for found in results["repetitions"].values()]
    few, many = min(counts), max(counts)
    return "1 repetition" if many == 1 else f"{many} repetitions" if few == many else f"{few} to {many} repetitions"


def plot_speed(results: Results) -> Figure:
    """Draw bars for each contestant: the time of an epoch and of the whole command, as a share of the notebook's."""
    networks = [network for network in NETWORKS if f"{network}/notebook" in results["medians"]]
    figure = Figure(figsize=(1 + 5 * len(networks), 3.4), layout="constrained")
    colors = {"notebook": GRAY, "autolog": GRAY, "ours": BLUE, "fast": ORANGE}
    for axes, network in zip(figure.subplots(1, len(networks), sharey=True, squeeze=False).flat, networks, strict=True):
        found = {kind: results["medians"].get(f"{network}/{kind}") for kind in KINDS}
        reference = notebook(results, network)
        kinds = [kind for kind in reversed(KINDS) if found[kind]]
        for offset, name, shade in ((0.2, "epoch_seconds", 1.0), (-0.2, "command_seconds", 0.55)):
            shares = [ratio(results["repetitions"], f"{network}/{kind}", reference, name) for kind in kinds]
            places = [place + offset for place in range(len(kinds))]
            bars = axes.barh(places, shares, height=0.36, color=[colors[kind] for kind in kinds], alpha=shade)
            label = "one epoch" if name == "epoch_seconds" else "whole command"
            seconds = [f" {label} {found[kind][name]:.1f} s" for kind in kinds]
            axes.bar_label(bars, seconds, fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        axes.set_yticks(range(len(kinds)), [KINDS[kind].replace("`", "") for kind in kinds])
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
        axes.set(title=NETWORKS[network], xlabel="time, as a share of the notebook's", xlim=(0, 2.1))
    return figure


TABLES: dict[str, Callable[[Results], str]] = {
    "train_speed": speed_table,
    "recipes": recipes_table,
    "ablation": ablation_table,
    "searches": searches_table,
    "trial_overhead": trial_table,
    "sweep_overhead": sweep_table,
    "peers": peers_table,
    "cores": cores_table,
}


def with_tables(texts: Sequence[str], results: dict[str, Results]) -> list[str]:
    """Return the documents with every table replaced for which there are results.

    Raises:
        SystemExit: none of the documents has a place for a table.
    """
    tables = {name: table(results[name]) for name, table in TABLES.items() if name in results}
    for name, table in (tables | {"ratios": ratios_table(results)}).items():
        if table:
            begin, end = f"<!-- results: {name} -->\n", f"<!-- end: {name} -->"
            if not any(begin in text and end in text for text in texts):
                raise SystemExit(f"no document has a place for {name}: {begin.strip()} ... {end}")
            texts = [_between(text, begin, end, f"{table}\n") for text in texts]
    return list(texts)


def _between(text: str, begin: str, end: str, content: str) -> str:
    if begin not in text:
        return text
    return f"{text.partition(begin)[0]}{begin}{content}{end}{text.partition(end)[2]}"


def main() -> None:
    results = {path.stem: json.loads(path.read_text()) for path in sorted(PUBLISHED.glob("*.json"))}
    texts = with_tables([document.read_text() for document in DOCUMENTS], results)
    for document, text in zip(DOCUMENTS, texts, strict=True):
        document.write_text(text)
    if "train_speed" in results:
        plot_speed(results["train_speed"]).savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
