"""A vision-language model of transformers on this machine, in the place of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from eval.external.judges.ask import Reply
from eval.metrics.networks import weights_digest
from lr_edit.errors import UserError
from lr_edit.execution.environment import choose_device

LONGEST = 512  # tokens of an answer


@dataclass(frozen=True)
class LocalModel:
    """A model and its processor, as `load_local` reads them. One question at a time.

    name         what it was called
    digest       sha256 of its weights
    temperature  of the sampling; 0 takes the most probable token
    """

    name: str
    digest: str
    model: Any = field(repr=False)
    processor: Any = field(repr=False)
    temperature: float = 0.7
    lock: Any = field(default_factory=Lock, repr=False)

    def __call__(
        self, pictures: list[UInt8[np.ndarray, "h w 3"]], text: str, /, *, seed: int
    ) -> Reply:
        """One answer: the same for the same seed."""
        import torch

        shown = [{"type": "image", "image": Image.fromarray(picture)} for picture in pictures]
        talk = [{"role": "user", "content": [*shown, {"type": "text", "text": text}]}]
        sampling = {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0}
        with self.lock, torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            given = self.processor.apply_chat_template(
                talk, add_generation_prompt=True, tokenize=True, return_dict=True,
                return_tensors="pt",
            ).to(self.model.device)  # fmt: skip
            said = self.model.generate(
                **given, max_new_tokens=LONGEST,
                **(sampling if self.temperature else {"do_sample": False}),
            )  # fmt: skip
        new = said[:, given["input_ids"].shape[1] :]
        (words,) = self.processor.batch_decode(new, skip_special_tokens=True)
        return Reply(words, self.name)


def load_local(name: str, *, temperature: float) -> LocalModel:
    """A judge of the class that its own config.json names.

    Args:
        name: `local-dir:FOLDER` with config.json, safetensors and the processor's files, or
            `ORG/NAME` in this machine's hub cache. Nothing is downloaded.
        temperature: of the sampling.

    Returns:
        It, on a GPU if there is one, in its own precision.

    Raises:
        UserError: no such model here, or one that does not read pictures.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    place = name.removeprefix("local-dir:")
    if name != place and not Path(place, "config.json").is_file():
        raise UserError(f"--judge-model {name}: {place} holds no model (no config.json)")
    how = {"local_files_only": True, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(place, **how)
        model = AutoModelForImageTextToText.from_pretrained(
            place, dtype="auto", use_safetensors=True, **how
        )
    except (OSError, ValueError, KeyError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(
            f"--judge-model {name} is no vision-language model that is here ({why}): name its "
            "folder as local-dir:FOLDER, or a server with --judge-url"
        ) from None
    if getattr(processor, "chat_template", None) is None:
        raise UserError(f"--judge-model {name} has no chat template: name an instructed model")
    model = model.eval().to(choose_device())
    return LocalModel(name, weights_digest(model), model, processor, temperature)
