"""Signing in: each code once, guesses slowed down for good, names that only look different, sessions that end."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from app.core.context import Actor
from app.core.errors import Forbidden, Missing, NotSignedIn, TooMany
from app.data import counters
from app.services import accounts, auth, clients
from app.services.auth import attempts
from tests.servers import TestStack
from tests.stack.people import World, code_of, forget_codes, sign_in

pytestmark = pytest.mark.usefixtures("calm")


async def attempt(person, *, password: str | None = None, otp: str | None = None, email: str | None = None):
    return await auth.sign_in(
        email=email or person.email,
        password=password or person.password,
        otp=code_of(person) if otp is None else otp,
        ip="192.0.2.7",
    )


def field_of(error: pytest.ExceptionInfo) -> str | None:
    return error.value.problems[0].field


async def test_password_and_code_begin_a_session(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    signed = await attempt(world.boss)
    actor = await auth.resolve_session(signed.token, "192.0.2.7")
    assert (actor.account_id, actor.email, actor.via) == (world.boss.id, world.boss.email, "session")
    assert {view.slug for view in await clients.clients_of(actor)} == {world.msp.slug, world.one.slug, world.two.slug}


async def test_the_database_holds_neither_token_nor_seed_nor_password(web: TestStack, world: World) -> None:
    signed = await sign_in(web.superuser_dsn, world.boss)
    with psycopg.connect(web.superuser_dsn) as link:
        rows = link.execute("SELECT row_to_json(a)::text FROM accounts a").fetchall()
        rows += link.execute("SELECT row_to_json(s)::text FROM sessions s").fetchall()
        rows += link.execute("SELECT row_to_json(e)::text FROM audit_events e").fetchall()
    everything = "\n".join(row[0] for row in rows)
    for secret in (signed.token, world.boss.totp_secret, world.boss.password, *world.boss.recovery_codes):
        assert secret not in everything


async def test_a_wrong_password_says_so_and_a_wrong_name_says_the_same(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    with pytest.raises(NotSignedIn) as wrong:
        await attempt(world.boss, password="not this one")
    with pytest.raises(NotSignedIn) as unknown:
        await attempt(world.boss, email="nobody@msp.example")
    assert field_of(wrong) == "password"
    assert wrong.value.as_problem() == unknown.value.as_problem()


async def test_a_code_is_good_once(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    code = code_of(world.boss)
    await attempt(world.boss, otp=code)
    with pytest.raises(NotSignedIn) as error:
        await attempt(world.boss, otp=code)
    assert (field_of(error), error.value.code) == ("otp", "code_used")
    assert 0 < error.value.params["retry_after"] <= 30
    with pytest.raises(NotSignedIn):
        await attempt(world.boss, otp=code_of(world.boss, steps=-1))


async def test_of_two_requests_with_one_code_one_gets_in(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    code = code_of(world.boss)
    found = await asyncio.gather(*(attempt(world.boss, otp=code) for _ in range(3)), return_exceptions=True)
    assert len([one for one in found if isinstance(one, auth.SignedIn)]) == 1
    assert {one.code for one in found if isinstance(one, NotSignedIn)} == {"code_used"}


async def test_a_missing_code_is_asked_for_and_is_no_failure(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    for _ in range(8):
        with pytest.raises(NotSignedIn) as error:
            await attempt(world.boss, otp="")
        assert error.value.code == "code_missing"
    await attempt(world.boss)


async def test_a_recovery_code_is_good_once(web: TestStack, world: World) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    code = world.boss.recovery_codes[0]
    await attempt(world.boss, otp=code.upper())
    with pytest.raises(NotSignedIn) as error:
        await attempt(world.boss, otp=code)
    assert error.value.code == "code_wrong"
    left = (await accounts.me(Actor(world.boss.id, world.boss.email))).recovery_codes_left
    assert left < len(world.boss.recovery_codes)


@pytest.mark.parametrize("typed", ["upper", "spaces", "wide", "mixed"])
async def test_names_that_only_look_different_are_one(web: TestStack, world: World, typed: str) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    email = world.boss.email
    forms = {
        "upper": email.upper(),
        "spaces": f"  {email}\t",
        "wide": "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in email),
        "mixed": email.title(),
    }
    assert (await attempt(world.boss, email=forms[typed])).account_id == world.boss.id


async def test_guessing_locks_the_account_and_the_lock_outlives_the_failure_and_redis(web: TestStack, world: World):
    person = world.staff["viewer"]
    forget_codes(web.superuser_dsn, person)
    for _ in range(attempts.FREE_ATTEMPTS + 1):
        with pytest.raises(NotSignedIn):
            await attempt(person, password="guess")
    await counters.get_redis().flushdb()
    with pytest.raises(TooMany) as error:
        await attempt(person)
    assert 0 < error.value.params["retry_after"] <= attempts.FIRST_WAIT_S
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE accounts SET locked_until = now() - interval '1 s' WHERE id = %s", [person.id])
    with pytest.raises(NotSignedIn):
        await attempt(person, password="guess")
    with pytest.raises(TooMany) as again:
        await attempt(person)
    assert again.value.params["retry_after"] > attempts.FIRST_WAIT_S


async def test_parallel_guesses_see_each_other(web: TestStack, world: World) -> None:
    person = world.staff["viewer"]
    forget_codes(web.superuser_dsn, person)
    guesses = [attempt(person, password=f"guess {n}") for n in range(12)]
    found = await asyncio.gather(*guesses, return_exceptions=True)
    assert len([one for one in found if isinstance(one, NotSignedIn)]) == attempts.FREE_ATTEMPTS + 1
    assert len([one for one in found if isinstance(one, TooMany)]) == 12 - attempts.FREE_ATTEMPTS - 1
    forget_codes(web.superuser_dsn, person)


async def test_a_name_that_nobody_has_is_locked_as_well(web: TestStack, world: World) -> None:
    for _ in range(attempts.FREE_ATTEMPTS + 1):
        with pytest.raises(NotSignedIn):
            await attempt(world.boss, email="ghost@msp.example")
    with pytest.raises(TooMany) as error:
        await attempt(world.boss, email="GHOST@msp.example")
    assert 0 < error.value.params["retry_after"] <= attempts.FIRST_WAIT_S


async def test_an_address_that_fails_often_is_slowed_down(web: TestStack, world: World) -> None:
    for _ in range(attempts.FAILURES_OF_ADDRESS):
        await attempts.count_address("192.0.2.7")
    with pytest.raises(TooMany):
        await attempt(world.boss)


async def test_a_disabled_account_is_out_at_once(web: TestStack, world: World) -> None:
    person = world.staff["helpdesk"]
    signed = await sign_in(web.superuser_dsn, person)
    token = await auth.create_token(await auth.resolve_session(signed.token), name="t")
    msp = clients.system_context("setup", world.msp.id, world.msp.slug)
    await accounts.disable(msp, account_id=person.id)
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(signed.token)
    with pytest.raises(NotSignedIn):
        await auth.resolve_token(token.token)
    with pytest.raises(NotSignedIn):
        await sign_in(web.superuser_dsn, person)
    await accounts.enable(msp, account_id=person.id)
    assert await sign_in(web.superuser_dsn, person)


async def test_a_role_that_is_taken_away_ends_at_once(web: TestStack, world: World) -> None:
    person = world.staff["approver"]
    signed = await sign_in(web.superuser_dsn, person)
    actor = await auth.resolve_session(signed.token)
    one = clients.system_context("setup", world.one.id, world.one.slug)
    assert (await clients.enter(actor, world.one.slug)).role == "approver"
    await accounts.take_away(one, account_id=person.id)
    with pytest.raises(Missing):
        await clients.enter(actor, world.one.slug)
    await accounts.grant(one, email=person.email, role="approver")


async def test_stepping_up_needs_a_fresh_code(web: TestStack, world: World) -> None:
    actor = world.actor("engineer")
    person = world.staff["engineer"]
    forget_codes(web.superuser_dsn, person)
    await auth.step_up(actor, code_of(person))
    with pytest.raises(auth.WrongCode) as error:
        await auth.step_up(actor, code_of(person))
    assert error.value.code == "code_used"
    with pytest.raises(auth.WrongCode):
        await auth.step_up(actor, "")


async def test_nobody_gives_away_more_than_they_have(web: TestStack, world: World) -> None:
    with pytest.raises(Forbidden):
        await accounts.grant(await world.context("engineer"), email=world.boss.email, role="viewer")
    owner = await world.context("owner")
    with pytest.raises(Missing):
        await accounts.grant(owner, email="nobody@nowhere.example", role="viewer")
