# The package with the extras that edit and evaluate, for a GPU or for a CPU; see docs/install.md.
#     docker build -t lr-edit .
#     docker build -t lr-edit:cpu --build-arg DEVICE=cpu --secret id=pip,src=pip.conf .
# Which wheels of PyTorch come is for pip's index to say; DEVICE is what they have to be.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG DEVICE=cuda
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY lr_edit lr_edit
COPY eval eval
RUN python -m venv /opt/lr-edit
ENV PATH=/opt/lr-edit/bin:$PATH
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-cache-dir -c constraints.txt '.[edit,parquet]'
RUN python -c "import torch; came = 'cuda' if torch.version.cuda else 'cpu'; \
    exit(came != '${DEVICE}' and f'DEVICE is ${DEVICE}, and the index gave {came} wheels')"

FROM python:${PYTHON}-slim
COPY --from=build /opt/lr-edit /opt/lr-edit
ENV PATH=/opt/lr-edit/bin:$PATH NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN useradd --create-home --uid 1000 editor
USER editor
WORKDIR /pictures
ENTRYPOINT ["lr-edit"]
CMD ["--help"]
