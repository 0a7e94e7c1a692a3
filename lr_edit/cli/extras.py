"""Which extra of the package brings a library that is not here: `pip install 'lr-edit[NAME]'`.

The base install evaluates edits. A test keeps this table and pyproject.toml the same.
"""

from __future__ import annotations

# Module -> extra. `study` brings what `edit` does.
EXTRAS = {
    "accelerate": "edit",
    "bitsandbytes": "quantise",
    "diffusers": "edit",
    "tokenizers": "edit",
    "transformers": "edit",
    "gradio": "app",
    "dvc": "study",
    "matplotlib": "study",
    "mlflow": "study",
    "pyarrow": "parquet",
    "ray": "ray",
    "torchao": "quantise",
}

# Modules that one of these brings, and that are asked for first.
BROUGHT_BY = {"alembic": "mlflow", "sqlalchemy": "mlflow"}


def say_missing(error: Exception) -> str | None:
    """What to install, in a sentence; None for any error but a module that an extra brings."""
    module = str(getattr(error, "name", None)).split(".")[0]
    module = BROUGHT_BY.get(module, module)
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRAS:
        return None
    return f"this needs {module}: `pip install 'lr-edit[{EXTRAS[module]}]'`"
