"""The few pages that are plain HTML: no script, so that nothing on them can be made to run."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from fastapi.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --panel: #fff; --sunken: #f6f7f9; --text: #1c2024; --muted: #5b6470;
  --border: #dfe3e8; --accent: #3e63dd; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --panel: #18191b; --sunken: #111113; --text: #edeef0; --muted: #a7adb5;
  --border: #34373b; --accent: #5472e4; } }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.45 Inter, system-ui, sans-serif; color: var(--text); background: var(--sunken); }
main.card { width: min(26rem, 100% - 32px); margin: 18vh auto 0; padding: 24px; background: var(--panel);
  border: 1px solid var(--border); border-radius: 10px; }
main.doc { max-width: 60rem; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 20px; margin: 0 0 8px; } h2 { font-size: 16px; margin: 40px 0 8px; }
h3 { font-size: 14px; margin: 0; } p { margin: 8px 0; } .muted { color: var(--muted); }
code, pre, .secret { font: 13px/1.45 "JetBrains Mono", ui-monospace, monospace; overflow-wrap: anywhere; }
.secret { display: block; padding: 12px; margin: 12px 0; font-size: 16px; border: 1px solid var(--border);
  border-radius: 6px; background: var(--sunken); user-select: all; }
button { font: inherit; font-weight: 500; width: 100%; min-height: 36px; border: 0; border-radius: 6px;
  color: var(--on-accent); background: var(--accent); cursor: pointer; }
button:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
details { border: 1px solid var(--border); border-radius: 6px; background: var(--panel); margin: 8px 0; }
summary { padding: 8px 12px; cursor: pointer; } details > div { padding: 0 12px 12px; }
.method { display: inline-block; min-width: 4rem; font-weight: 600; color: var(--accent); }
table { width: 100%; border-collapse: collapse; } th { text-align: left; font-weight: 500; color: var(--muted); }
td, th { padding: 4px 8px 4px 0; vertical-align: top; border-bottom: 1px solid var(--border); }
a { color: var(--accent); } nav { display: flex; flex-wrap: wrap; gap: 4px 16px; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
}


def page(title: str, body: str, *, locale: str = "en", status: int = 200) -> HTMLResponse:
    """A whole page. ``title`` is text, ``body`` is HTML whose parts were escaped."""
    return HTMLResponse(
        f'<!doctype html><html lang="{locale}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)} · Opsloom</title><style>{STYLE}</style></head><body>{body}</body></html>",
        status,
        headers=HEADERS,
    )


def locale_of(accept_language: str | None) -> str:
    """English or French, whichever the browser names first."""
    for part in (accept_language or "").split(","):
        found = part.strip()[:2].lower()
        if found in ("en", "fr"):
            return found
    return "en"
