"""Parameters that describe a person, and how blank cells of a CSV are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from connectors.base import param


def _blank(value: Any) -> Any:
    """An empty cell says nothing about the field."""
    return None if isinstance(value, str) and not value.strip() else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Optional = Annotated[str | None, BeforeValidator(_blank)]
Country = Annotated[str, BeforeValidator(_upper)]
OptionalCountry = Annotated[str | None, BeforeValidator(_upper), BeforeValidator(_blank)]

USAGE_EN = "Two letters (US, FR). Microsoft needs it before a licence can be assigned."
USAGE_FR = "Deux lettres (US, FR). Microsoft l’exige avant toute attribution de licence."


def display_name(**more: Any) -> Any:
    return param("Display name", "Nom affiché", placeholder="Anna Berg", max_length=256, **more)


def given_name() -> Any:
    return param("First name", "Prénom", default=None, max_length=64)


def surname() -> Any:
    return param("Last name", "Nom", default=None, max_length=64)


def job_title() -> Any:
    return param("Job title", "Fonction", default=None, max_length=128)


def department() -> Any:
    return param("Department", "Service", default=None, max_length=64)


def company_name() -> Any:
    return param("Company", "Société", default=None, max_length=64)


def office_location() -> Any:
    return param("Office", "Bureau", default=None, max_length=128)


def mobile_phone() -> Any:
    return param("Mobile phone", "Téléphone mobile", default=None, max_length=64)


def employee_id() -> Any:
    return param("Employee number", "Matricule", default=None, max_length=16)


def city() -> Any:
    return param("City", "Ville", default=None, max_length=128)


def country() -> Any:
    return param("Country or region", "Pays ou région", default=None, max_length=128)


def preferred_language() -> Any:
    return param(
        "Language", "Langue", default=None, placeholder="fr-FR", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
    )


def usage_location(**more: Any) -> Any:
    return param(
        "Usage location",
        "Lieu d’utilisation",
        help_en=USAGE_EN,
        help_fr=USAGE_FR,
        placeholder="FR",
        pattern=r"^[A-Z]{2}$",
        **more,
    )
