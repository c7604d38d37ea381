"""Signing in. The form posts to the REST route, since only an answer over HTTP can set the session's cookie."""

from __future__ import annotations

import reflex as rx

from app.core.settings import get_settings
from app.ui.js import module

ROUTE = "/sign-in"
ACTION = "/api/v1/auth/sign-in"
DEMO_CODE_COMMAND = ".venv/bin/opsloom otp EMAIL"


class SignIn(rx.Component):
    """The form; ``demo`` is the command that prints a code, where this installation is the demonstration."""

    library = module("signin.jsx")
    tag = "SignIn"
    action: rx.Var[str]
    demo: rx.Var[str]


def page() -> rx.Component:
    return SignIn.create(action=ACTION, demo=DEMO_CODE_COMMAND if get_settings().environment == "demo" else "")
