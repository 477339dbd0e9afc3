"""Serve a tracked model over HTTP: classes and probabilities of pictures.

python -m src.serve model_uri=models:/NAME@champion
python -m src.serve run_id=RUN port=5002
python -m src.serve model_file=exports/onnx/model.onnx
curl -F image=@cat.png http://127.0.0.1:5001/predict
"""

from __future__ import annotations

import uvicorn

from src import console
from src.classifier import open_classifier
from src.cli.command import entry_point
from src.ports import check_port
from src.results import MEGABYTE
from src.schema import ServeConfig
from src.serving import ServedModel, make_app

REMEDY = "make serve PORT={port} (python -m src.serve port={port})"


def serve(config: ServeConfig) -> None:
    """Serve the model until the process is asked to stop.

    Raises:
        StoreError: no such run or model, or with `calibrated` a run without a temperature.
        ModelFileError: the model's files are missing or altered.
        UserError: the port is taken.
    """
    check_port(config.host, config.port, ServeConfig.port, REMEDY)
    served = load_served_model(config)
    address = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{config.port}"
    if not config.is_local:
        console.warn(["every machine that reaches this one can use the model: there are no users and passwords"])
    app = make_app(served, config.is_local)
    settings = uvicorn.Config(app, host=config.host, port=config.port, log_level="warning", access_log=False)
    console.say(f"{served.classifier.name} is served on {address}; Ctrl-C stops it")
    console.say(f"curl -F image=@FILE {address}/predict")
    uvicorn.Server(settings).run()


def load_served_model(config: ServeConfig) -> ServedModel:
    """Return the model, which has computed once: the first request is answered as fast as later ones."""
    with open_classifier(config) as classifier:
        served = ServedModel(classifier, classifier.load(), int(config.max_mb * MEGABYTE))
    served.warm_up()
    return served


@entry_point("serve")
def main(config: ServeConfig, overrides: list[str]) -> None:
    """Serve the model."""
    serve(config)


if __name__ == "__main__":
    main()
