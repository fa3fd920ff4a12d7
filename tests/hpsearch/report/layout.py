"""Does a figure keep its texts apart? Read off what was laid out."""

from __future__ import annotations

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def check_layout(figure: Figure) -> None:
    """No text lies on another or beyond the edge, and no plot is squeezed."""
    FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen(figure)]
    width, height = figure.bbox.size
    for text, box in boxes:
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < width + 1, text
        assert box.y1 < height + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 2, f"{one!r} lies on {other!r}"
    for axes in figure.axes:
        if axes.get_visible() and axes.axison and axes.get_label() != "<colorbar>":
            assert axes.bbox.width > 90
            assert axes.bbox.height > 70


def seen(figure: Figure) -> list[Text]:
    """All texts that are drawn, those of ticks within the axes' ends among them."""
    texts = [*figure.texts, *([figure._suptitle] if figure._suptitle else [])]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        texts += [*axes.texts, axes.title, axes._left_title, axes._right_title]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            texts.append(axis.label)
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
    return [text for text in dict.fromkeys(texts) if text.get_text().strip()]


def texts(figure: Figure) -> str:
    """All that is written on a figure."""
    found = figure.findobj(Text)
    return "\n".join(text.get_text() for text in found if text.get_text())
