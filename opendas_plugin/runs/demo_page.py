"""The demo's page; the one file that knows gradio. Neither the server nor the page asks any other host."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.errors import MissingDependencyError, OpenDASError

if TYPE_CHECKING:
    from opendas_plugin.runs.showing import Picture, Row, Showing

ADDRESS = "127.0.0.1"
BUTTONS = ["download", "fullscreen"]
"""Of pictures; not the one that shares them."""
Query = Callable[[str], tuple[Path, list[tuple[int, int, float, int]]]]
"""From a text to a picture of the best masks, and each one's rank, number, cosine and points."""


def require_gradio() -> Any:
    """Gradio, without its looks at other hosts.

    Raises:
        MissingDependencyError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gradio
    except ImportError as error:
        raise MissingDependencyError(
            "the demo needs gradio, which is not installed; pip install 'opendas-plugin[demo]'"
        ) from error
    return gradio


def serve(showing: Showing, names: str, query: Query | None, port: int) -> None:
    """Shows the page at ``http://127.0.0.1:port`` until it is interrupted.

    Args:
        showing: names the masks of photos.
        names: those that stand in the field at first.
        query: asks a scene; None: there is none.
        port: of the server.

    Raises:
        OSError: the port is taken.
    """
    gr = require_gradio()
    system = ["system-ui", "sans-serif"]
    theme = gr.themes.Default(font=system, font_mono=["ui-monospace", "monospace"])
    with gr.Blocks(title="OpenDAS-plugin", analytics_enabled=False) as page:
        gr.Markdown("# OpenDAS-plugin")
        with gr.Tab("Photo"):
            _photo(gr, showing, names)
        with gr.Tab("3D scene"):
            if query is None:
                gr.Markdown("Start `opendas-demo` with `--scene` and `--features` to ask a scene for things.")
            else:
                _scene(gr, query)
    page.launch(server_name=ADDRESS, server_port=port, share=False, theme=theme, footer_links=[], quiet=True)


def _photo(gr: Any, showing: Showing, names: str) -> None:
    titles = list(showing.labellers)
    with gr.Row():
        photo = gr.Image(type="numpy", image_mode="RGB", sources=["upload"], label="Photo", elem_id="photo")
        with gr.Column():
            words = gr.Textbox(names, label="Names, with commas between", lines=3, elem_id="names")
            button = gr.Button("Name all masks", variant="primary", elem_id="name-all")
            gr.Markdown("Or click on a thing in the photo: its likeliest names, in percent.")
            table = gr.Dataframe(headers=["name", *titles], label="What was clicked", elem_id="clicked")
    with gr.Row():
        shown = [
            gr.Image(label=title, interactive=False, buttons=BUTTONS, elem_id=f"named-{n}")
            for n, title in enumerate(titles)
        ]

    def name_all(picture: Picture | None, given: str) -> dict[Any, Picture]:
        found = _said(gr, lambda: showing.name(picture, given).overlays())
        return dict(zip(shown, found.values(), strict=True))

    def clicked(picture: Picture | None, given: str, event: Any) -> list[Row]:
        x, y = event.index
        return _said(gr, lambda: showing.name(picture, given).at(x, y))

    # by which gradio knows that a click is asked for; of annotations that it cannot resolve it reads none at all
    clicked.__annotations__ = {"event": gr.SelectData}
    button.click(name_all, [photo, words], shown, api_visibility="private")
    photo.select(clicked, [photo, words], table, api_visibility="private")


def _scene(gr: Any, query: Query) -> None:
    with gr.Row():
        text = gr.Textbox("an office chair", label="What to look for", elem_id="text")
        button = gr.Button("Find it", variant="primary", elem_id="find")
    picture = gr.Image(label="The best masks", interactive=False, buttons=BUTTONS, elem_id="found")
    table = gr.Dataframe(headers=["rank", "mask", "cosine", "points"], label="Masks", elem_id="masks")

    def find(given: str) -> tuple[str, list[tuple[int, int, float, int]]]:
        path, rows = _said(gr, lambda: query(given))
        return str(path), rows

    button.click(find, text, [picture, table], api_visibility="private")
    text.submit(find, text, [picture, table], api_visibility="private")


def _said(gr: Any, work: Callable[[], Any]) -> Any:
    """What the work returns; an error of ours is shown on the page as its sentence."""
    try:
        return work()
    except OpenDASError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
