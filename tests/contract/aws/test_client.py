"""Signing in to AWS, where requests go, and what becomes of calls that fail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from pydantic import SecretStr

from connectors.aws.client import AwsClient
from connectors.aws.testing import READER_KEY
from connectors.base import Environment
from connectors.errors import AuthFailed, NotFound, OutcomeUnknown, Retryable
from connectors.testing import Bench, Sandbox, new_attempt

RUN = {"name": "ws-1", "image": "workstation-2", "instance_type": "t3.small"}


async def test_the_mspʼs_keys_take_up_the_clientʼs_role(sandbox: Sandbox) -> None:
    client = sandbox.open(client_id=UUID(int=7))
    assert await client.account() == "777788889999"
    asked = [record for record in sandbox.control.log() if record["path"] == "/sts/AssumeRole"]
    assert [record["tenant"] for record in asked] == ["msp"]
    assert asked[0]["body"]["RoleSessionName"] == f"opsloom-{UUID(int=7)}"
    assert asked[0]["body"]["ExternalId"] == "sandbox-1"
    await client.aclose()


async def test_a_wrong_external_id_is_refused(sandbox: Sandbox) -> None:
    client = sandbox.open(sandbox.config.model_copy(update={"external_id": "guessed"}))
    with pytest.raises(AuthFailed):
        await client.account()
    await client.aclose()


async def test_keys_that_lead_to_another_account_are_refused(sandbox: Sandbox) -> None:
    config = sandbox.poor_config.model_copy(update={"account_id": "777788889999"})
    client = sandbox.open(config)
    with pytest.raises(AuthFailed) as refused:
        await client.read("describe_instances")
    assert refused.value.code == "wrong_account"
    assert refused.value.details == {"found": "888899990000", "expected": "777788889999"}
    assert not any(record["path"].startswith("/ec2/") for record in sandbox.control.log())
    await client.aclose()


async def test_accounts_see_only_their_own(sandbox: Sandbox) -> None:
    theirs, ours = Bench(sandbox, sandbox.open()), Bench(sandbox, sandbox.open(sandbox.poor_config))
    assert (await theirs.read("aws.instance.list")).items
    assert (await ours.read("aws.instance.list")).items == []
    await theirs.client.aclose()
    await ours.client.aclose()


async def test_this_machineʼs_own_aws_set_up_is_not_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """Credentials go to the deployment's endpoint or to AWS, whatever is in the environment or the home folder."""
    profile = tmp_path / "config"
    profile.write_text("[default]\nendpoint_url = http://127.0.0.1:9\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER_KEY["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER_KEY["secret_access_key"])
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = sandbox.open()
    assert await client.account() == "777788889999"
    await client.read("describe_instances")
    await client.aclose()


async def test_without_an_endpoint_of_the_deployment_it_is_amazonʼs(sandbox: Sandbox) -> None:
    client = AwsClient(UUID(int=1), sandbox.config, Environment())
    made = client._link._make("ec2", _keys(), write=True)
    assert made.meta.endpoint_url == "https://ec2.eu-west-3.amazonaws.com"
    assert made.meta.config.retries["total_max_attempts"] == 1


def _keys():
    from connectors.aws.session import SignedIn

    return SignedIn("777788889999", "AKIA", "secret")


def test_credentials_do_not_show() -> None:
    assert "secret" not in repr(_keys())


async def test_a_session_that_ended_early_is_renewed(bench: Bench) -> None:
    await bench.read("aws.instance.list")
    bench.sandbox.reset()  # the simulator forgets every session it gave
    assert (await bench.do("aws.instance.run", RUN)).change.kind == "create"


async def test_a_role_is_taken_up_again_before_its_hour_is_over(sandbox: Sandbox) -> None:
    from datetime import UTC, datetime, timedelta

    shift = timedelta()
    environment = Environment(sandbox.environment.endpoints, now=lambda: datetime.now(UTC) + shift)
    client = sandbox.connector.open(UUID(int=1), sandbox.config, environment)
    for expected in (1, 1, 2):
        await client.read("describe_instances")
        asked = [record for record in sandbox.control.log() if record["path"] == "/sts/AssumeRole"]
        assert len(asked) == expected
        shift = timedelta(minutes=56) if len(asked) == 1 and expected == 1 and shift else timedelta(minutes=1)
    await client.aclose()


async def test_a_missing_permission_is_named(sandbox: Sandbox) -> None:
    client = sandbox.open(sandbox.poor_config)
    bench = Bench(sandbox, client)
    with pytest.raises(AuthFailed) as refused:
        await bench.read("aws.subnet.list")
    assert refused.value.code == "missing_permission"
    assert "DescribeSubnets" in refused.value.message
    await client.aclose()


async def test_lists_are_read_to_their_end(bench: Bench) -> None:
    """moto gives a hundred reservations a page."""
    many = [{"name": f"m{n:03}", "image": "only", "instance_type": "t3.micro"} for n in range(120)]
    image = {"name": "only", "description": "", "created": "2026-01-01T00:00:00+00:00"}
    user = {"name": "big", "actions": ["ec2:*", "sts:GetCallerIdentity"]}
    fixture = {
        "slug": "big",
        "account_id": "222233334444",
        "display_name": "big",
        "region": "eu-west-3",
        "user": user,
        "images": [image],
        "instances": many,
    }
    (made,) = bench.sandbox.control.seed({"tenants": [fixture]})
    big = Bench(bench.sandbox, bench.sandbox.open(bench.sandbox.connector.Config(**made["config"])))
    assert len((await big.read("aws.instance.list")).items) == 120
    await big.client.aclose()
    pages = [record for record in bench.sandbox.control.log() if record["tenant"] == "big"]
    assert len([record for record in pages if record["path"] == "/ec2/DescribeInstances"]) == 2


async def test_a_write_is_not_sent_when_too_little_time_is_left(bench: Bench) -> None:
    planned = await bench.plan("aws.instance.run", RUN)
    action = bench.action("aws.instance.run")
    with pytest.raises(Retryable) as refused:
        await action.apply(bench.client, action.Params(**RUN), planned.change, new_attempt(action, seconds=4))
    assert refused.value.code == "deadline"
    assert bench.sandbox.control.writes() == []


async def test_no_answer_by_the_deadline_is_an_unknown_outcome_that_recovery_clears_up(bench: Bench) -> None:
    planned = await bench.plan("aws.instance.run", RUN)
    action = bench.action("aws.instance.run")
    params, attempt = action.Params(**RUN), new_attempt(action, seconds=7)
    bench.sandbox.control.fault("timeout", writes=True, seconds=60)
    with pytest.raises(OutcomeUnknown):
        await action.apply(bench.client, params, planned.change, attempt)
    bench.sandbox.control.clear_faults()
    found = await action.recover(bench.client, params, planned.change, new_attempt(action, key=attempt.key))
    assert found is not None
    assert found.adopted


async def test_a_worker_can_be_held_after_the_platform_has_acted(bench: Bench) -> None:
    """What the kill -9 tests stand on: the work is done, the answer does not come, and going away ends the request."""
    bench.sandbox.control.fault("timeout", writes=True, path="RunInstances", seconds=60)
    task = asyncio.create_task(bench.do("aws.instance.run", RUN))
    held = await asyncio.to_thread(bench.sandbox.control.wait_for_write, "RunInstances")
    assert held["changed"]
    assert not task.done()
    names = [one["tags"]["Name"] for one in bench.sandbox.control.dump("sandbox")["instances"]]
    assert names.count("ws-1") == 1
    bench.sandbox.control.clear_faults()
    with pytest.raises(OutcomeUnknown):
        await task


async def test_an_unreachable_platform_is_worth_another_try(sandbox: Sandbox) -> None:
    client = sandbox.connector.open(UUID(int=1), sandbox.config, Environment({"endpoint": "http://127.0.0.1:9"}))
    with pytest.raises(Retryable):
        await client.account()
    await client.aclose()


async def test_wrong_keys_are_refused_in_the_clear(sandbox: Sandbox) -> None:
    wrong = sandbox.config.model_copy(update={"secret_access_key": SecretStr("quite-another-secret-key")})
    client = sandbox.open(wrong)
    with pytest.raises(AuthFailed) as refused:
        await client.account()
    assert refused.value.code == "auth_failed"
    assert refused.value.details["aws_code"] == "SignatureDoesNotMatch"
    await client.aclose()


async def test_an_unknown_instance_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound) as missing:
        await bench.client.read("describe_instances", InstanceIds=["i-0123456789abcdef0"])
    assert missing.value.field == "instance"


async def test_a_write_is_awaited_longer_than_a_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.aws.session.READ_TIMEOUT_S", 1)
    planned = await bench.plan("aws.instance.run", RUN)
    bench.sandbox.control.fault("slow", writes=True, seconds=1.5)
    action = bench.action("aws.instance.run")
    applied = await action.apply(bench.client, action.Params(**RUN), planned.change, new_attempt(action))
    assert applied.change.kind == "create"
    assert not applied.adopted


async def test_throttling_that_botocore_waits_out_is_told(sandbox: Sandbox) -> None:
    """Others must not ask while this call waits. Where AWS names no time, it is as long as botocore waits at most."""
    told: list[float] = []
    client = sandbox.connector.open(UUID(int=1), sandbox.config, replace(sandbox.environment, throttled=told.append))
    await client.account()
    sandbox.control.fault("throttle", writes=False, retry_after=7)
    sandbox.control.fault("error", writes=False, status=503, code="RequestLimitExceeded", every=2)
    assert await client.read("describe_instances")
    assert told == [7, 2]
    await client.aclose()
