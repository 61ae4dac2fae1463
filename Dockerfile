# The main job on a CPU: docker build -t opendas . && docker run --rm -v "$PWD/runs:/work/runs" opendas
# Never built where it was written, for want of a daemon: hadolint has read it, the wheel was installed in a fresh virtual
# environment (torch from PyPI), and there its command ran on two rooms, an epoch a stage.
FROM python:3.11-slim
RUN pip install --no-cache-dir "torch>=2.6" "torchvision>=0.21" --index-url https://download.pytorch.org/whl/cpu
COPY . /opt/opendas-plugin
RUN pip install --no-cache-dir /opt/opendas-plugin
WORKDIR /work
CMD ["sh", "-c", "opendas-prepare office --output runs/data/office && opendas-train --data runs/data/office --output-dir runs/office"]
