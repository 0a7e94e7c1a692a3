"""The page of `lr-edit app`: a picture and words in; attention, boxes, candidates and the edit out.

What is shown comes from `desk`; here is where it stands. Nothing on the page comes from another
server, and nothing is told to one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as it is imported

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from lr_edit.desk import BUDGETED, Desk, Stopped, Wish
from lr_edit.errors import Unfinished, UserError, shorten
from lr_edit.illustrate import fit_to_screen
from lr_edit.tracking.ui import wait_until_interrupted
from lr_edit.workspace.storage import read_image

LOOPBACK = ("127.0.0.1", "localhost")  # names that the guard can read: none of IPv6
LARGEST = "100mb"  # a photo that is uploaded
MODES = [
    ("A detector finds the words, or else CLIP", "detected"),
    ("CLIP finds the words", "grounded"),
    ("Race of previews", "race"),
    ("Every box", "enumerate"),
    ("Most probable boxes", "amortised"),
    ("The paper's procedure", "paper"),
]
LOOK = gr.themes.Default(
    primary_hue="rose",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)
HEAD = """# Edit a picture by words
Say what is there and what should be there instead: the place is found for you."""

START = "Take an example, or upload a picture and say what to edit."
WORKING, STOPPED = "Working on it.", "Stopped: nothing was kept."


def serve(desk: Desk, *, host: str, port: int, say: Callable[[str], Any]) -> None:
    """Show the page until interrupted; `say` is told where it is, and what is a defect of ours."""
    page = build_page(desk, say=say)
    _, address, _ = launch(page, host=host, port=port)
    try:
        say(f"{address.rstrip('/')} (Ctrl-C ends it)")
        wait_until_interrupted()
    finally:
        page.close(verbose=False)


def launch(page: gr.Blocks, *, host: str, port: int) -> Any:
    """Serve a page from a thread of its own, to nobody but who knows the address: a page of
    somebody else's, whose name was made to lead here, does not."""
    names = LOOPBACK if host in LOOPBACK else ["*"]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=names)
    return page.queue(default_concurrency_limit=1).launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False,
        inbrowser=False, show_error=False, ssr_mode=False, footer_links=[], theme=LOOK,
        css_paths=Path(__file__).parent / "app.css", max_file_size=LARGEST,
        app_kwargs={"middleware": [guard]},
    )  # fmt: skip


def build_page(desk: Desk, *, say: Callable[[str], Any]) -> gr.Blocks:
    """The page, ready to be served."""
    with gr.Blocks(title="lr-edit", analytics_enabled=False, fill_width=True,
                   delete_cache=(3600, 3600)) as page:  # fmt: skip
        gr.Markdown(HEAD, elem_id="head")
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                wish, edit, stop = _ask(desk)
            with gr.Column(scale=3, min_width=300):
                shown = _show()
        _connect(desk, page, wish=wish, edit=edit, stop=stop, shown=shown, say=say)
    return page


def _ask(desk: Desk) -> tuple[list[Any], gr.Button, gr.Button]:
    """What a person fills in, in the order of `Wish`, and the two buttons."""
    drawings = desk.editor.config.models.world == "picturebook"
    photo = gr.Image(
        label="Picture", type="filepath", sources=["upload", "clipboard"], height=240, buttons=[],
        elem_id="photo", elem_classes=["drawings"] if drawings else None,
    )  # fmt: skip
    # The file, unread: the project's one reader says what is wrong with it. Not a subclass, for
    # which Gradio would write a stub beside this file.
    vars(photo)["preprocess"] = lambda payload: payload and _uploaded(payload.path, photo)
    examples = gr.Gallery(
        [fit_to_screen(Image.fromarray(read_image(one.path))) for one in desk.examples],
        label="Examples", columns=6, allow_preview=False, format="png", height="auto", buttons=[],
        elem_id="examples", interactive=False, visible=bool(desk.examples),
    )  # fmt: skip
    source = gr.Textbox(label="What is there", placeholder="a red boat", elem_id="source",
                        max_lines=1)  # fmt: skip
    prompt = gr.Textbox(label="The picture that you want", placeholder="a blue fish on sand",
                        elem_id="prompt", max_lines=1)  # fmt: skip
    mode = gr.Dropdown(MODES, value="detected", label="Where to edit", elem_id="mode")
    with gr.Row():
        budget = gr.Number(desk.budget_of("grounded"), label="Budget (UNet evaluations)",
                           precision=0, minimum=1, elem_id="budget", visible=False)  # fmt: skip
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
    with gr.Row():
        edit = gr.Button("Edit", variant="primary", elem_id="edit", scale=4)
        stop = gr.Button("Stop", elem_id="stop", min_width=90)

    def choose(mode: str) -> Any:
        return gr.update(value=desk.budget_of(mode), visible=mode in BUDGETED)

    def take(event: gr.SelectData) -> tuple[str, str, str]:
        one = desk.examples[event.index]
        return str(one.path), one.source, one.prompt

    quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden",
                               "api_visibility": "private"}  # fmt: skip
    mode.change(choose, mode, budget, **quietly)
    examples.select(take, None, [photo, source, prompt], **quietly)
    return [photo, source, prompt, mode, budget, seed], edit, stop


def _uploaded(path: str, photo: gr.Image) -> str:
    """A file that was uploaded; a question over HTTP may name any other of the server's."""
    if not Path(path).resolve().is_relative_to(Path(photo.GRADIO_CACHE).resolve()):
        raise gr.Error("This is no picture that was uploaded.", print_exception=False)
    return path


def _show() -> dict[str, Any]:
    """What is shown, by the names that the desk gives it; the columns `first` and `last` hold what
    is not there yet."""
    shown: dict[str, Any] = {
        "slider": gr.ImageSlider(label="Before and after", format="png", max_height=600,
                                 elem_id="slider", buttons=["fullscreen"]),
        "status": gr.Markdown(START, elem_id="status"),
    }  # fmt: skip
    with gr.Column(visible=False) as shown["last"]:
        with gr.Row():
            for name in ("picture", "mask"):
                shown[name] = gr.DownloadButton(f"Download the {name}", elem_id=name, size="md")
        shown["command"] = gr.Code(
            label="The same again, on the command line", language="shell", lines=1, wrap_lines=True,
            show_line_numbers=False, buttons=["copy"], elem_id="command", interactive=False,
        )  # fmt: skip
        shown["candidates"] = gr.Gallery(
            label="Candidates (S: higher is better, L: lower)", columns=5,
            format="png", object_fit="contain", height="auto", buttons=["fullscreen"],
            interactive=False, elem_id="candidates",
        )  # fmt: skip
    with gr.Column(visible=False) as shown["first"], gr.Row():
        for name, label in (("attention", "What DINO attends to"),
                            ("boxes", "Where the words are found")):  # fmt: skip
            shown[name] = gr.Image(label=label, format="png", interactive=False, elem_id=name,
                                   buttons=["fullscreen"], min_width=140)  # fmt: skip
    return shown


def _connect(
    desk: Desk, page: gr.Blocks, *, wish: Sequence[Any], edit: gr.Button, stop: gr.Button,
    shown: dict[str, gr.components.Component], say: Callable[[str], Any],
) -> None:  # fmt: skip
    """What happens at a click."""
    _, source, prompt, *_ = wish
    empty = {shown["slider"]: None, shown["status"]: WORKING} | {
        shown[name]: gr.Column(visible=False) for name in ("first", "last")
    }

    def run(
        photo: str | None, source: str, prompt: str, mode: str, budget: float | None,
        seed: float | None, request: gr.Request, progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Any]:  # fmt: skip
        def tell(share: float, what: str) -> None:
            progress(share, desc=what)

        yield empty
        filled = Wish(photo, source, prompt, mode, budget, seed)
        try:
            for found in desk.edit(filled, person=request.session_hash, tell=tell):
                for note in found.pop("notes", ()):
                    gr.Warning(note, title="Note")
                column = shown["last" if "slider" in found else "first"]
                values = {shown[name]: value for name, value in found.items()}
                yield values | {column: gr.Column(visible=True)}
        except Stopped:
            return  # `end` has said so
        except Exception as error:
            said = _say_why(error, say)
            yield {shown["status"]: said}
            raise gr.Error(said, title="No edit", duration=None, print_exception=False) from None

    def end(request: gr.Request) -> str:
        desk.stop(request.session_hash)
        return STOPPED

    def leave(request: gr.Request) -> None:
        desk.stop(request.session_hash)

    running = gr.on(
        [edit.click, source.submit, prompt.submit], run, wish, list(shown.values()),
        show_progress="full", show_progress_on=[shown["slider"]], api_name="edit",
        trigger_mode="once",
    )  # fmt: skip
    stop.click(end, None, shown["status"], queue=False, cancels=[running],
               show_progress="hidden", api_visibility="private")  # fmt: skip
    page.unload(leave)


def _say_why(error: Exception, say: Callable[[str], Any]) -> str:
    """What went wrong, in words alone; a defect of ours is told to who runs the page too."""
    if isinstance(error, UserError | Unfinished):
        return str(error)
    said = f"{type(error).__name__}: {shorten(error)} (a defect of ours)"
    say(said)
    return said
