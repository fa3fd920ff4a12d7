"""Write the parts of the documentation that follow from the code: python -m docs.make"""

from __future__ import annotations

from docs.make import drawn, pages

for path, text in pages.written().items():
    path.write_text(text)
drawn.draw(pages.DOCS / "figures")
