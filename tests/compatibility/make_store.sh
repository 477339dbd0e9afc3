#!/usr/bin/env bash
# Makes store.tar.xz with the code of another checkout: tests/compatibility/make_store.sh CHECKOUT
# README.md in this folder describes what is in it, and why.
set -euo pipefail

checkout=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=/tmp/compat_store # the test looks for this path in the databases, and puts the folder of its own there
python=$checkout/.venv/bin/python
export PYTHONPATH=$checkout HOME=$root/.home
unset DATA_DIR MLFLOW_TRACKING_URI OPTUNA_STORAGE || true

rm -rf "$root"
mkdir -p "$HOME"
cd "$root"

id_of() { # NAME: of the run with this name
    "$python" -c 'import sqlite3, sys; print(sqlite3.connect("mlflow.db").execute(
        "select run_uuid from runs where name = ?", sys.argv[1:]).fetchone()[0])' "$1"
}

# --- pictures: two classes, dark and bright ----------------------------------------------------------------------
"$python" - <<'END'
from pathlib import Path

import numpy as np
from PIL import Image

random = np.random.default_rng(16)
for name, shade in (("dark", 60), ("bright", 190)):
    Path("shades", name).mkdir(parents=True)
    for number in range(20):
        pixels = np.clip(random.normal(shade, 40, (12, 12)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(f"shades/{name}/{number:02}.png")
END

# --- runs --------------------------------------------------------------------------------------------------------
small=(dataset=synthetic 'dataset.image_size=[14,14]' dataset.limit=400)
net=(model=lenot model.conv.0.filters=4 model.conv.1.filters=8 'model.dense=[16]' training.batch_size=32)

"$python" -m src.train "${small[@]}" "${net[@]}" optimizer=sgd optimizer.learning_rate=0.05 schedule=cosine \
    augmentation=light model.dropout=0.1 training.epochs=6 training.deterministic=true tracking.run_name=former
"$python" -m src.register run_id="$(id_of former)" alias=champion
"$python" -m src.train "${small[@]}" "${net[@]}" optimizer=adam optimizer.learning_rate=0.005 training.epochs=12 \
    tracking.run_name=better tags.owner=ada
"$python" -m src.explain run_id="$(id_of better)"
"$python" -m src.train dataset=image_folder dataset.folder=shades 'dataset.image_size=[12,12]' dataset.channels=1 \
    model=cnn_64_64 model.conv.0.filters=4 model.conv.1.filters=4 'model.dense=[8]' optimizer=adam \
    optimizer.learning_rate=0.01 training.batch_size=8 training.epochs=10 tracking.detail=light tracking.run_name=shades

# --- two networks compared ---------------------------------------------------------------------------------------
"$python" -m pipelines.compare_models 'models=[dense,lenot]' 'seeds=[1]' "${small[@]}" 'model.dense=[16]' \
    training.batch_size=32 training.epochs=2

# --- a search, half done: a trial failed, another was killed -------------------------------------------------------
search=(-m hydra/sweeper=optuna hydra/sweeper/pruner=median hydra.sweeper.pruner.n_startup_trials=2 hydra.sweeper.pruner.n_warmup_steps=4
    hydra.sweeper.study_name=half_done hydra.sweeper.sampler.seed="${SAMPLER_SEED:-1}" "${small[@]}" "${net[@]}"
    optimizer=adam training.epochs=12 'model.conv.0.kernel_size=choice(3,5,40)'
    'optimizer.learning_rate=tag(log,interval(1e-3,1e-1))')
"$python" -m src.train "${search[@]}" hydra.sweeper.n_trials=3
setsid "$python" -m src.train "${search[@]}" hydra.sweeper.n_trials=8 &
sweep=$!
"$python" - <<'END'
import sqlite3
import time

running = """select count(*) from trials join trial_intermediate_values using (trial_id)
    where number > 2 and state = 'RUNNING' group by trial_id having count(*) > 1"""
deadline = time.monotonic() + 60
while not sqlite3.connect("optuna.db", timeout=30).execute(running).fetchone():
    if time.monotonic() > deadline:
        raise SystemExit("no further trial was to be killed: make the store again")
    time.sleep(0.02)
END
kill -KILL -- "-$sweep"
wait "$sweep" || true

# --- packed: test images as files, databases without empty pages, few pictures --------------------------------------
"$python" - "$(id_of better)" <<'END'
import contextlib
import sqlite3
import sys
from pathlib import Path

from PIL import Image

from src.compose import compose_config
from src.datasets import load_dataset

kept = ("filters", "page_1", "grad_cam", "confusion_matrix")
Path("unlabelled").mkdir()
line = ["dataset=synthetic", "dataset.image_size=[14,14]", "dataset.limit=400"]
for at, image in enumerate(load_dataset(compose_config(line).dataset).test.images[:20]):
    Image.fromarray(image[..., 0]).save(f"unlabelled/{at:03}.png")
for name in ("mlflow.db", "optuna.db"):
    with contextlib.closing(sqlite3.connect(name)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
        database.execute("pragma journal_mode = delete")
        database.execute("vacuum")
for file in Path("mlartifacts").rglob("*"):
    is_picture = file.suffix == ".png" and not (file.is_relative_to(f"mlartifacts/{sys.argv[1]}") and file.stem in kept)
    if is_picture or file.name == "sweep.html":
        file.unlink()
END
tar --create --sort=name --owner=0 --group=0 --numeric-owner mlflow.db optuna.db mlartifacts shades unlabelled | xz -9e >"$here/store.tar.xz"
ls -l "$here/store.tar.xz"
