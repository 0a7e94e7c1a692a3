"""Weights of random numbers as the hub lays them out, and a hub that serves them.

Pipelines are the real classes written by their own `save_pretrained`: fp16 variant, sharded where
asked. Sizes are small unless `full` is set.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SDXL_TIMES = 6 * 256  # six numbers of added conditions, 256 channels each


def tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's own class on an alphabet of single letters."""
    letters = [chr(c) for c in range(33, 127)]
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def made(full: bool, kind: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A model; a full-size one in half precision, filled with one block of small numbers again and
    again: drawing each of a billion weights takes minutes."""
    if not full:
        return kind(*args, **options)
    with torch.device("meta"):
        model = kind(*args, **options)
    model = model.half().to_empty(device="cpu")
    block = (torch.randn(2**16) * 0.02).half()
    for weight in model.state_dict().values():
        for part in weight.view(-1).split(len(block)):
            part.copy_(block[: len(part)])
    return model


def text_encoder(tokens: CLIPTokenizer, width: int, *, projected: bool = False, full: dict) -> Any:
    """A CLIP text tower; `full` holds a real one's configuration."""
    small = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2,
             "num_attention_heads": 2, "projection_dim": width}  # fmt: skip
    end = tokens.eos_token_id
    config = CLIPTextConfig(
        **{"vocab_size": len(tokens), **small, **full},
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return made(bool(full), kind, config)


def autoencoder(*, full: bool, channels: int = 4, shift: float | None = None) -> AutoencoderKL:
    """The autoencoder of all Stable Diffusions, eight pixels a cell; later ones shift latents."""
    widths = (128, 256, 512, 512) if full else (8, 8, 8, 8)
    return made(full, AutoencoderKL,
        block_out_channels=widths, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=channels,
        layers_per_block=2 if full else 1, norm_num_groups=32 if full else 4, sample_size=512,
        shift_factor=shift,
    )  # fmt: skip


def write_sd(
    folder: Path,
    *,
    text: int = 32,
    full: bool = False,
    kind: Any = StableDiffusionInpaintPipeline,
    channels: int = 9,
    **how: Any,
) -> None:
    """Stable Diffusion 1 and 2 inpainting: nine channels, one text encoder."""
    torch.manual_seed(0)
    tokens = tokenizer(folder / "tokens")
    real: dict[str, Any] = {}
    if full:
        heads = 12 if text == 768 else 16
        layers = 12 if text == 768 else 23
        real = {"vocab_size": 49408, "hidden_size": text, "intermediate_size": 4 * text,
                "num_hidden_layers": layers, "num_attention_heads": heads}  # fmt: skip
    unet = made(full, UNet2DConditionModel,
        in_channels=channels, sample_size=64, cross_attention_dim=text,
        block_out_channels=(320, 640, 1280, 1280) if full else (8, 16),
        layers_per_block=2 if full else 1, norm_num_groups=32 if full else 4,
        attention_head_dim=((5, 10, 20, 20) if text == 1024 else 8) if full else 4,
        use_linear_projection=text == 1024,
        **({} if full else {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
                            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}),
    )  # fmt: skip
    pipeline = kind(
        vae=autoencoder(full=full), text_encoder=text_encoder(tokens, text, full=real),
        tokenizer=tokens, unet=unet, scheduler=DDIMScheduler(steps_offset=1), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    save(pipeline, folder, **how)


def write_pix2pix(folder: Path) -> None:
    """InstructPix2Pix: the picture's latents beside the noise."""
    write_sd(folder, kind=StableDiffusionInstructPix2PixPipeline, channels=8, variant=None)


def write_sdxl(folder: Path, *, depth: int = 1, full: bool = False, **how: Any) -> None:
    """Stable Diffusion XL inpainting: two text encoders, pooled words and sizes as conditions."""
    torch.manual_seed(0)
    tokens = tokenizer(folder / "tokens")
    first, second = (768, 1280) if full else (16, 24)
    one, two = {}, {}
    if full:
        one = {"vocab_size": 49408, "intermediate_size": 3072, "num_hidden_layers": 12,
               "num_attention_heads": 12}  # fmt: skip
        two = {"vocab_size": 49408, "intermediate_size": 5120, "num_hidden_layers": 32,
               "num_attention_heads": 20}  # fmt: skip
    unet = made(full, UNet2DConditionModel,
        in_channels=9, sample_size=128, cross_attention_dim=first + second,
        block_out_channels=(320, 640, 1280) if full else (8, 16),
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (2 if full else 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (2 if full else 1), "UpBlock2D"),
        transformer_layers_per_block=(1, 2, depth) if full else (1, 1),
        layers_per_block=2 if full else 1, norm_num_groups=32 if full else 4,
        attention_head_dim=(5, 10, 20) if full else 4, use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=second + SDXL_TIMES,
    )  # fmt: skip
    pipeline = StableDiffusionXLInpaintPipeline(
        vae=autoencoder(full=full), text_encoder=text_encoder(tokens, first, full=one),
        text_encoder_2=text_encoder(tokens, second, projected=True, full=two),
        tokenizer=tokens, tokenizer_2=tokens, unet=unet, scheduler=DDIMScheduler(),
    )  # fmt: skip
    save(pipeline, folder, **how)


def save(pipeline: Any, folder: Path, *, variant: str | None = "fp16", shard: str = "10GB") -> None:
    half = pipeline.to(dtype=torch.float16) if variant else pipeline
    half.save_pretrained(folder, variant=variant, max_shard_size=shard)


@contextmanager
def served(repositories: dict[str, Path], *, cut: set[str] | None = None) -> Iterator[tuple]:
    """A hub on this machine: yields its address and the list of requests, (verb, path, range).

    The first answer for a file that ends in one of `cut` breaks off in its middle.
    """
    seen: list[tuple[str, str, str | None]] = []
    handler = type(
        "Hub", (_Hub,), {"repositories": repositories, "seen": seen, "cut": cut or set()}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Hub(BaseHTTPRequestHandler):
    """The hub's routes for a model's description, its listing and its files."""

    repositories: dict[str, Path]
    seen: list[tuple[str, str, str | None]]
    cut: set[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.seen.append((self.command, self.path, self.headers.get("Range")))
        for name, folder in self.repositories.items():
            if path.startswith(f"/api/models/{name}/tree/"):
                return self._json([_entry(folder, p) for p in _files(folder)])
            if path.startswith(f"/api/models/{name}"):
                return self._json(_description(name, folder))
            if path.startswith(f"/{name}/resolve/"):
                return self._file(folder / path.split("/resolve/")[1].split("/", 1)[1])
        return self._send(404, b"{}")

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def _file(self, path: Path) -> None:
        if not path.is_file():
            return self._send(404, b"", **{"X-Error-Code": "EntryNotFound"})
        body = path.read_bytes()
        head = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256(body).hexdigest()}"',
                "Accept-Ranges": "bytes"}  # fmt: skip
        start = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        if start:
            head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        broken = next((end for end in self.cut if path.name.endswith(end)), None)
        if broken and self.command == "GET":
            self.cut.discard(broken)
            self.send_response(200)
            for key, value in {**head, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self._send(206 if start else 200, body[start:], **head)

    def _send(self, status: int, body: bytes, **head: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **head}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _description(name: str, folder: Path) -> dict[str, Any]:
    siblings = [
        {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
        for entry in (_entry(folder, path) for path in _files(folder))
    ]
    return {
        "id": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [],
        "downloads": 0, "likes": 0, "cardData": {"license": "mit"},
    }  # fmt: skip


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    body = path.read_bytes()
    oid = sha1(b"blob %d\0" % len(body) + body).hexdigest()
    return {"type": "file", "oid": oid, "size": len(body), "path": _name(folder, path)}
