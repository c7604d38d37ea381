"""How Reflex builds and serves the web application. The deployment's own choices are in app.core.settings."""

from __future__ import annotations

import reflex as rx

from app.core.settings import get_settings
from app.ui.theme import PACKAGES, plugins

settings = get_settings()

config = rx.Config(
    app_name="app",
    app_module_import="app.app",
    frontend_port=settings.port,
    backend_port=settings.port,
    api_url=f"http://localhost:{settings.port}",
    deploy_url=settings.base_url,
    redis_url=settings.redis_url or None,
    cors_allowed_origins=tuple(settings.cors_origins),
    telemetry_enabled=False,
    show_built_with_reflex=False,
    default_color_mode="system",
    frontend_packages=PACKAGES,
    frontend_lazy_bundled_libraries=True,
    plugins=plugins(),
    disable_plugins=[rx.plugins.SitemapPlugin],
)
