"""The page `embedding.html`: a map of images that shows the image under the pointer. It works offline."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from src import figures
from src.redact import redact
from src.reports.html import as_html, page
from src.results import short_name

WIDTH, HEIGHT, EDGE = 900, 680, 20  # of the map
RADIUS = 4
MAX_SIDE = 48  # pixels of a thumbnail
SHOWN = 168  # pixels of the image next to the map
MAX_ROWS = 100  # of the table of mistakes
MARKERS = {  # of Matplotlib, as paths around 0 with a radius of 1
    "o": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
    "s": "M-.9-.9h1.8v1.8h-1.8z",
    "^": "M0-1.2L1.1.8H-1.1z",
    "D": "M0-1.25L1.25 0 0 1.25-1.25 0z",
    "v": "M0 1.2L1.1-.8H-1.1z",
    "*": "M0-1.4L.4-.45 1.35-.45.6.15.85 1.1 0 .55-.85 1.1-.6.15-1.35-.45-.4-.45z",
    "P": "M-.45-1.2h.9v.75h.75v.9h-.75v.75h-.9v-.75h-.75v-.9h.75z",
}
STYLE = """
.map { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
svg { flex: 1 1 560px; max-width: 900px; height: auto; border: 1px solid #ccc; }
svg:focus-visible { outline: 3px solid #0072B2; }
use { opacity: .75; }
use.wrong { stroke: black; stroke-width: .3; opacity: 1; }
text { font-weight: bold; text-anchor: middle; dominant-baseline: middle; paint-order: stroke; stroke: white;
       stroke-width: 5px; pointer-events: none; }
#shown { flex: 0 0 200px; min-height: 300px; }
.thumb { display: inline-block; background-image: var(--sheet); image-rendering: pixelated; vertical-align: middle; }
#cursor { fill: none; stroke: black; stroke-width: 2; }
.box { max-height: 480px; }
th { padding: 6px 12px; }
td { padding: 3px 12px; }
"""
SCRIPT = """
const svg = document.querySelector("svg"), cursor = document.querySelector("#cursor");
const marks = [...document.querySelectorAll("use")];
const at = marks.map(mark => [mark.x.baseVal.value, mark.y.baseVal.value]);
let chosen = -1;
const show = i => {
  if (i < 0) return;
  chosen = i;
  const thumb = document.querySelector("#shown .thumb"), [column, row] = [i % map.columns, Math.floor(i / map.columns)];
  const zoom = map.shown / Math.max(map.width, map.height);
  thumb.style.cssText = `width:${map.width * zoom}px;height:${map.height * zoom}px;` +
    `background-size:${map.columns * map.width * zoom}px auto;` +
    `background-position:${-column * map.width * zoom}px ${-row * map.height * zoom}px`;
  const [name, label, predicted, score] = map.images[i];
  const words = [name, `class ${map.classes[label]}`, `predicted ${map.classes[predicted]} (${score.toFixed(2)})`];
  thumb.ariaLabel = words.join(", ");
  document.querySelector("#words").replaceChildren(
    ...words.map((line, n) => Object.assign(document.createElement(n || label === predicted ? "div" : "b"),
      { textContent: line })), Object.assign(document.createElement("div"), { textContent:
      label === predicted ? "right" : "wrong" }));
  cursor.setAttribute("cx", at[i][0]); cursor.setAttribute("cy", at[i][1]); cursor.setAttribute("r", 9);
};
const nearest = (x, y, far, allowed = () => true) => {
  let best = -1, least = far * far;
  at.forEach(([u, v], i) => {
    const distance = (u - x) ** 2 + (v - y) ** 2;
    if (distance < least && allowed(i, u - x, v - y)) { best = i; least = distance; }
  });
  return best;
};
svg.onpointermove = event => {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  show(nearest(point.x, point.y, 12));
};
svg.onfocus = () => { if (chosen < 0) show(0); };
const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
svg.onkeydown = event => {
  if (event.key === "m") {
    const after = [...marks.keys()].map(n => (chosen + 1 + n) % marks.length);
    show(after.find(i => marks[i].classList.contains("wrong")) ?? -1);
  } else if (event.key in ways) {
    const [right, down] = ways[event.key], [x, y] = at[Math.max(chosen, 0)];
    show(nearest(x, y, Infinity, (i, u, v) => i !== chosen && u * right + v * down > Math.abs(u * down + v * right)));
    event.preventDefault();
  }
};
"""


def embedding_page(
    title: str,
    points: Sequence[figures.MapPoint],
    class_names: Sequence[str],
    images: npt.NDArray[np.uint8],
    names: Sequence[str],
    scores: Sequence[float],
) -> str:
    """Return the page as HTML, with small copies of the images in it.

    Args:
        title: its heading.
        points: of n images, at least one.
        class_names: one for each label.
        images: uint8, (n, height, width, channels), 0-255.
        names: of the images.
        scores: the probability of the predicted class of each image.
    """
    sheet, columns, (height, width) = sprite_sheet(images)
    data = {
        "columns": columns,
        "width": width,
        "height": height,
        "shown": SHOWN,
        "classes": [redact(name) for name in class_names],
        "images": [
            [redact(short_name(name)), point.label, point.predicted, round(float(score), 4)]
            for point, name, score in zip(points, names, scores, strict=True)
        ],
    }
    mistakes = [number for number, point in enumerate(points) if point.is_mistake]
    body = [
        f"<p>{len(points):,} test images by the features that the classifier gets (t-SNE). Images that are close to "
        "each other look alike to the network. Color, marker and name: true class. Black edges: "
        f"{len(mistakes):,} wrong predictions.</p>",
        "<p>Point at an image to see it. With the keyboard: Tab to the map, arrow keys to the next image in a "
        "direction, <kbd>m</kbd> to the next wrong prediction.</p>",
        f'<div class="map">{_map(points, class_names)}<div id="shown"><span class="thumb" role="img"></span>'
        '<div id="words" aria-live="polite"></div></div></div>',
        *_mistakes(mistakes, points, class_names, names, scores, columns, (height, width)),
        f"<script>const map = {_as_script(data)};{SCRIPT}</script>",
    ]
    return page(title, body, f':root {{ --sheet: url("{sheet}"); }}{STYLE}')


def sprite_sheet(images: npt.NDArray[np.uint8]) -> tuple[str, int, tuple[int, int]]:
    """Return all images in one, as a data URI, the number of images in a row, and the size of each.

    Args:
        images: uint8, (n, height, width, channels); larger ones than 48 pixels are reduced.
    """
    height, width = images.shape[1:3]
    shrink = min(1.0, MAX_SIDE / max(height, width))
    small = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    columns = int(np.ceil(np.sqrt(len(images))))
    is_gray, rows = images.shape[-1] == 1, -(-len(images) // columns)
    sheet = Image.new("L" if is_gray else "RGB", (columns * small[1], rows * small[0]))
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        thumbnail = Image.fromarray(image[..., 0] if is_gray else image)
        if shrink < 1:
            thumbnail = thumbnail.resize((small[1], small[0]), Image.Resampling.LANCZOS)
        sheet.paste(thumbnail, (column * small[1], row * small[0]))
    file, kind = io.BytesIO(), "png" if is_gray else "jpeg"  # a PNG of photos takes five times as much
    sheet.save(file, kind)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}", columns, small


def _map(points: Sequence[figures.MapPoint], class_names: Sequence[str]) -> str:
    looks = figures.class_looks(len(class_names))
    places = np.array([point[:2] for point in points])
    low, size = places.min(axis=0), np.ptp(places, axis=0)
    scale = min((WIDTH - 2 * EDGE) / max(size[0], 1e-6), (HEIGHT - 2 * EDGE) / max(size[1], 1e-6))
    places = (places - low - size / 2) * scale * (1, -1) + (WIDTH / 2, HEIGHT / 2)  # y points down here
    used = sorted({looks[point.label][1] for point in points})
    marks = [
        f'<use href="#{_id(looks[point.label][1])}" x="{x:.1f}" y="{y:.1f}" fill="{looks[point.label][0]}"'
        + (' class="wrong"/>' if point.is_mistake else "/>")
        for point, (x, y) in zip(points, places, strict=True)
    ]
    labels = np.array([point.label for point in points])
    centers = [(label, np.median(places[labels == label], axis=0)) for label in np.unique(labels)]
    names = [f'<text x="{x:.0f}" y="{y:.0f}">{as_html(class_names[label])}</text>' for label, (x, y) in centers]
    paths = (f'<path id="{_id(marker)}" d="{MARKERS[marker]}" transform="scale({RADIUS})"/>' for marker in used)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" tabindex="0" role="application" aria-label="map of {len(points):,} test '
        'images; arrow keys move to the next image, m moves to the next wrong prediction">'
        f'<defs>{"".join(paths)}</defs>{"".join(marks)}<circle id="cursor" r="0"/>{"".join(names)}</svg>'
    )


def _id(marker: str) -> str:
    return f"marker{list(MARKERS).index(marker)}"


def _mistakes(
    mistakes: Sequence[int],
    points: Sequence[figures.MapPoint],
    class_names: Sequence[str],
    names: Sequence[str],
    scores: Sequence[float],
    columns: int,
    size: tuple[int, int],
) -> list[str]:
    """Return a table of the wrong predictions with the highest probabilities."""
    if not mistakes:
        return []
    surest = sorted(mistakes, key=lambda number: -scores[number])[:MAX_ROWS]
    heading = "Wrong predictions" if len(surest) == len(mistakes) else f"The {len(surest)} surest wrong predictions"
    rows = []
    for number in surest:
        row, column = divmod(number, columns)
        style = f"width:{size[1]}px;height:{size[0]}px;background-position:{-column * size[1]}px {-row * size[0]}px"
        true, predicted = class_names[points[number].label], class_names[points[number].predicted]
        name = short_name(names[number])
        cells = (name, true, f"{predicted} ({scores[number]:.2f})")
        rows.append(
            f'<tr><td><span class="thumb" role="img" aria-label="{as_html(name)}" style="{style}"></span></td>'
            + "".join(f"<td>{as_html(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    head = "".join(f'<th scope="col">{column}</th>' for column in ("image", "name", "class", "predicted"))
    body = "\n".join(rows)
    table = f'<div class="box"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
    return [f"<h2>{heading}</h2>", table]


def _as_script(data: object) -> str:
    """Return JSON that may be a part of a page: nothing in it ends the script."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
