# The main job on a CPU: docker build -t opendas . && docker run --rm -v "$PWD/runs:/work/runs" opendas
FROM python:3.11-slim
COPY . /opt/opendas-plugin
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir /opt/opendas-plugin
WORKDIR /work
CMD ["sh", "-c", "opendas-prepare office --output runs/data/office && opendas-train --data runs/data/office --output-dir runs/office"]
