"""A graph as SVG: drawn here, without a service, readable on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from textwrap import wrap

from aurora.cli._layout import END, START, Drawing, Edge
from aurora.kernel.untrusted import clean
from aurora.sdk.spec import GraphSpec

_WIDE, _GAP, _ROW = 420, 28, 96  # a box with two lines of 58 characters at 12 px; space beside and below it
_TALL, _SMALL = 64, 30
_MARGIN, _HEAD = 40, 104

_STYLE = """\
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #57606a; }
  .title { font-size: 20px; font-weight: 600; fill: #1f2328; }
  .name { font-size: 14px; font-weight: 600; fill: #1f2328; }
  .ground { fill: #ffffff; }
  .box { fill: #f6f8fa; stroke: #8c959f; }
  .end { fill: #dafbe1; stroke: #4ac26b; }
  .way { fill: none; stroke: #57606a; stroke-width: 1.5; }
  .choice { stroke-dasharray: 5 4; }
  .tip { fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1; }
    .title, .name { fill: #f0f6fc; }
    .ground { fill: #0d1117; }
    .box { fill: #151b23; stroke: #656c76; }
    .end { fill: #12261e; stroke: #3fb950; }
    .way { stroke: #9198a1; }
    .tip { fill: #9198a1; }
  }"""

_ROLE = 'role="img" aria-labelledby="title about"'

_TIP = """\
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>"""


def draw_svg(spec: GraphSpec, drawing: Drawing) -> str:
    """Return the drawing of a graph as an SVG document."""
    widest = max(len(row) for row in drawing.rows)
    skips = any(_is_bent(drawing, edge) for edge in drawing.edges)
    width = 2 * _MARGIN + widest * _WIDE + (widest - 1) * _GAP + (60 if skips else 0)
    about = wrap(clean(spec.description), int((width - 2 * _MARGIN) / 6.2))
    head = _HEAD + 17 * max(0, len(about) - 1)
    height = head + len(drawing.rows) * _ROW + _MARGIN - (_ROW - _TALL)
    places = dict(_places(drawing, head, widest))
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} {_ROLE}>',
        f'<title id="title">{_text(spec.title)}</title>',
        f'<desc id="about">{_text(spec.description)}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        _TIP,
        f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text class="title" x="{_MARGIN}" y="44">{_text(spec.title)}</text>',
        *(f'<text x="{_MARGIN}" y="{68 + 17 * number}">{_text(line)}</text>' for number, line in enumerate(about)),
        *(_way(drawing, edge, places) for edge in drawing.edges),
        *(part for node, place in places.items() for part in _node(drawing, node, place)),
        f'<text x="{width - _MARGIN}" y="44" text-anchor="end">{_text(f"{spec.id} version {spec.version}")}</text>',
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def _places(drawing: Drawing, head: int, widest: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield each node with the middle of its upper edge."""
    middle = _MARGIN + (widest * _WIDE + (widest - 1) * _GAP) / 2
    for number, row in enumerate(drawing.rows):
        left = middle - (len(row) - 1) * (_WIDE + _GAP) / 2
        for position, node in enumerate(row):
            yield node, (left + position * (_WIDE + _GAP), head + number * _ROW + (_TALL - _height(node)) / 2)


def _node(drawing: Drawing, node: str, place: tuple[float, float]) -> Iterator[str]:
    x, y = place
    height = _height(node)
    if node in (START, END):
        yield f'<rect class="end" x="{x - 40:g}" y="{y:g}" width="80" height="{height}" rx="15"/>'
        yield f'<text class="name" x="{x:g}" y="{y + 20:g}" text-anchor="middle">{node.strip("_")}</text>'
        return
    lines = wrap(clean(drawing.texts[node]), 64)[:2]
    yield f'<rect class="box" x="{x - _WIDE / 2:g}" y="{y:g}" width="{_WIDE}" height="{height}" rx="8"/>'
    top = y + (22 if lines else 35) - (4 if len(lines) == 2 else 0)
    yield f'<text class="name" x="{x:g}" y="{top:g}" text-anchor="middle">{_text(node)}</text>'
    for number, line in enumerate(lines, start=1):
        yield f'<text x="{x:g}" y="{top + 16 * number + 2:g}" text-anchor="middle">{_text(line)}</text>'


def _way(drawing: Drawing, edge: Edge, places: dict[str, tuple[float, float]]) -> str:
    (x1, top1), (x2, y2) = places[edge.source], places[edge.target]
    y1 = top1 + _height(edge.source)
    if _is_bent(drawing, edge):  # around the boxes, on the right
        side = max(x for x, _ in places.values()) + _WIDE / 2 + 34
        middle1, middle2 = top1 + _height(edge.source) / 2, y2 + _height(edge.target) / 2
        path = (
            f"M{x1 + _half(edge.source):g} {middle1:g} C{side:g} {middle1:g} {side:g} {middle2:g} "
            f"{x2 + _half(edge.target):g} {middle2:g}"
        )
    elif x1 == x2:
        path = f"M{x1:g} {y1:g}V{y2:g}"
    else:
        path = f"M{x1:g} {y1:g}C{x1:g} {y1 + 24:g} {x2:g} {y2 - 24:g} {x2:g} {y2:g}"
    kind = "way choice" if edge.is_choice else "way"
    label = (
        f'<text x="{(x1 + x2) / 2 + 8:g}" y="{(y1 + y2) / 2 + 4:g}">{_text(edge.label)}</text>' if edge.label else ""
    )
    return f'<path class="{kind}" marker-end="url(#tip)" d="{path}"/>{label}'


def _is_bent(drawing: Drawing, edge: Edge) -> bool:
    """Whether a way leads back or past a row, so that it must go around."""
    return drawing.row_of(edge.target) - drawing.row_of(edge.source) != 1


def _height(node: str) -> int:
    return _SMALL if node in (START, END) else _TALL


def _half(node: str) -> float:
    return 40 if node in (START, END) else _WIDE / 2


def _text(value: str) -> str:
    return escape(clean(value))
