"""Sessions: rotation, reuse, expiry, and ending them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.core.errors import Missing, NotSignedIn
from app.services import auth, clients
from app.services.auth import sessions
from tests.servers import TestStack
from tests.stack.people import World, age, sign_in

pytestmark = pytest.mark.usefixtures("calm")


async def rotated(web: TestStack, world: World) -> tuple[str, str]:
    old = (await sign_in(web.superuser_dsn, world.boss)).token
    age(web, old, timedelta(minutes=16))
    renewed = await auth.renew_session(old)
    assert renewed is not None
    return old, renewed.token


async def test_a_young_token_is_kept(web: TestStack, world: World) -> None:
    signed = await sign_in(web.superuser_dsn, world.boss)
    assert await auth.renew_session(signed.token) is None


async def test_an_old_token_is_replaced_and_may_be_late_for_a_moment(web: TestStack, world: World) -> None:
    old, new = await rotated(web, world)
    assert old != new
    for token in (old, new):
        assert (await auth.resolve_session(token, live=False)).account_id == world.boss.id
    assert await auth.renew_session(old) is None


async def test_a_replaced_token_that_comes_back_ends_the_session_for_everybody(web: TestStack, world: World) -> None:
    old, new = await rotated(web, world)
    age(web, old, timedelta(minutes=5))
    with pytest.raises(NotSignedIn) as error:
        await auth.resolve_session(old, live=False)
    assert error.value.code == "session_reused"
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(new)


async def test_a_websocket_may_go_on_with_the_token_it_was_opened_with_for_a_while(web: TestStack, world: World):
    old, _new = await rotated(web, world)
    age(web, old, timedelta(minutes=5))
    assert await auth.resolve_session(old)
    age(web, old, sessions.SOCKET_GRACE)
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(old)


async def test_signing_out_ends_the_old_token_too(web: TestStack, world: World) -> None:
    old, new = await rotated(web, world)
    await auth.sign_out(new)
    for token in (old, new):
        with pytest.raises(NotSignedIn):
            await auth.resolve_session(token)


@pytest.mark.parametrize("by", [timedelta(minutes=31), timedelta(hours=13)])
async def test_a_session_ends_by_itself(web: TestStack, world: World, by: timedelta) -> None:
    signed = await sign_in(web.superuser_dsn, world.boss)
    age(web, signed.token, by)
    with pytest.raises(NotSignedIn) as error:
        await auth.resolve_session(signed.token)
    assert error.value.code == "session_expired"


async def test_use_keeps_a_session_alive_but_not_for_ever(web: TestStack, world: World) -> None:
    signed = await sign_in(web.superuser_dsn, world.boss)
    for _ in range(4):
        age(web, signed.token, timedelta(minutes=20))
        assert await auth.resolve_session(signed.token)
    age(web, signed.token, timedelta(hours=11))
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(signed.token)


@pytest.mark.parametrize("token", ["", "x", "ols_", "ols_" + "a" * 43, "olt_" + "a" * 43, "ols_\udcff"])
async def test_what_is_no_token_is_nobodys(web: TestStack, token: str) -> None:
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(token)
    with pytest.raises(NotSignedIn):
        await auth.resolve_token(token)


async def test_signing_in_anew_ends_the_session_that_the_browser_had(web: TestStack, world: World) -> None:
    from tests.stack.people import code_of, forget_codes

    old = await sign_in(web.superuser_dsn, world.boss)
    forget_codes(web.superuser_dsn, world.boss)
    person = world.boss
    await auth.sign_in(email=person.email, password=person.password, otp=code_of(person), ip=None, replacing=old.token)
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(old.token)


async def test_people_see_and_end_their_own_sessions_only(web: TestStack, world: World) -> None:
    mine = await sign_in(web.superuser_dsn, world.boss)
    other = await sign_in(web.superuser_dsn, world.staff["engineer"])
    actor = await auth.resolve_session(mine.token)
    listed = await auth.list_sessions(actor)
    assert [view.current for view in listed].count(True) == 1
    assert other.session_id not in {view.id for view in listed}
    with pytest.raises(Missing):
        await auth.end_session(actor, other.session_id)
    await auth.end_session(actor, mine.session_id)
    with pytest.raises(NotSignedIn):
        await auth.resolve_session(mine.token)


async def test_a_token_is_limited_to_its_clients_and_can_be_revoked(web: TestStack, world: World) -> None:
    actor = await auth.resolve_session((await sign_in(web.superuser_dsn, world.boss)).token)
    made = await auth.create_token(actor, name="nightly", clients=[world.two.id])
    bearer = await auth.resolve_token(made.token)
    assert [view.id for view in await clients.clients_of(bearer)] == [world.two.id]
    with pytest.raises(Missing):
        await clients.enter(bearer, world.one.slug)
    await auth.revoke_token(actor, made.id)
    with pytest.raises(NotSignedIn):
        await auth.resolve_token(made.token)
