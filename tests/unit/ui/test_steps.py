"""The words of steps and of what they change."""

from __future__ import annotations

from app.ui.steps import step_words, thing_words


def test_a_things_fields_have_the_words_of_all_steps_that_change_it() -> None:
    words = thing_words("m365.user")
    assert words["surname"] == {"en": "Last name", "fr": "Nom"}
    assert set(step_words()["m365.user.create"]["fields"]) <= set(words)
    assert thing_words("m365.licence")["ENTERPRISEPACK"]["en"] == "Office 365 E3"


def test_what_nobody_changes_has_no_words() -> None:
    assert thing_words("m365.unheard_of") == {}
    assert thing_words("") == {}
