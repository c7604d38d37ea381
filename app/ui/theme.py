"""Fonts, style sheets and what stands in every page's head. The tokens are in ``assets/tokens.css``."""

from __future__ import annotations

from typing import Any

import reflex as rx

STYLESHEETS = ["/tokens.css", "/controls.css", "/frame.css", "/table.css", "/forms.css", "/changes.css", "/pages.css"]
FONTS = {"inter": ("400", "500", "600", "700"), "jetbrains-mono": ("400",)}

# The page that was rendered ahead is English; a reader of another language sees it when it is in theirs.
_WAIT_FOR_LANGUAGE = """
try {
  const stored = localStorage.getItem("opsloom.locale");
  const spoken = (navigator.languages ?? []).map((tag) => tag.slice(0, 2)).find((tag) => tag === "en" || tag === "fr");
  const locale = stored === "en" || stored === "fr" ? stored : spoken ?? "en";
  document.documentElement.lang = locale;
  if (locale !== "en") {
    document.documentElement.classList.add("os-wait");
    setTimeout(() => document.documentElement.classList.remove("os-wait"), 3000);
  }
} catch {}
"""


class FontsPlugin(rx.plugins.Plugin):
    """Bundles the two fonts, so that no page asks another server for them."""

    def get_stylesheet_paths(self, **context: Any) -> list[str]:
        return [
            # These say which characters each file has, so that a browser fetches only those that a page needs.
            f"@fontsource/{name}/{weight}.css"
            for name, weights in FONTS.items()
            for weight in weights
        ]


def head() -> list[rx.Component]:
    """The elements of every page's head."""
    return [
        rx.el.link(rel="icon", href="/logo.svg", type="image/svg+xml"),
        rx.el.link(rel="manifest", href="/manifest.json"),
        rx.el.script(_WAIT_FOR_LANGUAGE),
    ]


def plugins() -> list[rx.plugins.Plugin]:
    """What the build needs: Radix Themes with one accent, and the fonts."""
    theme = rx.theme(accent_color="indigo", gray_color="slate", radius="medium", panel_background="solid")
    return [rx.plugins.RadixThemesPlugin(theme=theme), FontsPlugin()]


# Packages that no component brings in by itself, each at one version.
PACKAGES = [
    "@fontsource/inter@5.2.8",
    "@fontsource/jetbrains-mono@5.2.8",
]
