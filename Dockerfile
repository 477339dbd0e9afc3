# One image for every service of compose.yaml. What follows its name are overrides, as after `python -m src.train`:
#   docker build --tag convlab .
#   docker run --rm --volume convlab:/runs convlab model=lenet5 training.epochs=3
# With NVIDIA's libraries:
#   docker build --build-arg GPU=1 --tag convlab-gpu .
#   docker run --rm --gpus all --volume convlab:/runs convlab-gpu model=resnet50

# The digest is that of the index for all platforms. Renew it from time to time, and that in compose.yaml:
# `docker buildx imagetools inspect python:3.11-slim-bookworm` prints the newest.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# Fashion-MNIST, in the folder where it is looked for; MNIST is downloaded into /runs/data.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends dataset-fashion-mnist=0.0~git20200523.55506a9-1 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --uid 1000 --create-home convlab \
    && install --directory --owner=convlab --group=convlab /runs /runs/data /runs/artifacts

# Requirements come before the source: a change of the code installs nothing anew. Bytecode is compiled here, since
# the user may not write it later, and without it each start imports TensorFlow for twice as long.
WORKDIR /opt/convlab
COPY requirements.lock requirements-gpu.lock ./
ARG GPU=""
RUN pip install --no-cache-dir --compile --require-hashes --requirement="requirements${GPU:+-gpu}.lock"
COPY . ./
RUN python -m compileall -q src pipelines hydra_plugins
ENV PYTHONPATH=/opt/convlab

# Runs, studies and data are kept where the command is started: mount a volume there.
WORKDIR /runs
USER 1000

# A trainer is healthy if its MLflow server is; a local database is not asked.
HEALTHCHECK --interval=30s --timeout=10s --start-period=1m CMD ["python", "-c", "import os, urllib.parse, urllib.request as web; \
uri = urllib.parse.urlsplit(os.environ.get('MLFLOW_TRACKING_URI', '')); \
url = uri._replace(netloc=uri.netloc.rpartition('@')[2], path=uri.path.rstrip('/') + '/health').geturl(); \
uri.scheme.startswith('http') and web.urlopen(url, timeout=5)"]
ENTRYPOINT ["python", "-m", "src.train"]
