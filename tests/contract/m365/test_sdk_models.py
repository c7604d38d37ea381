"""The vendor's SDK, used as its own documentation shows, reads every answer of the simulator to the last field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.serialization import Parsable
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.models.group import Group
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.user import User
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core.tasks.page_iterator import PageIterator

from connectors.m365.directory import GROUP_SELECT, SELECT
from connectors.m365.simulator.schema import USER
from tests.contract.m365.conftest import GRACE, LIAM, Office

Find = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters
Look = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters
Groups = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters


@pytest.fixture
async def graph(office: Office) -> Any:
    return await office.client._graph()


def left_over(model: Any) -> Iterator[str]:
    """Names that the SDK did not know, at any depth."""
    if isinstance(model, list):
        for one in model:
            yield from left_over(one)
    elif isinstance(model, Parsable):
        yield from (name for name in getattr(model, "additional_data", {}) if "@odata." not in name)
        for name, value in vars(model).items():
            if name not in ("additional_data", "backing_store") and isinstance(value, list | Parsable):
                yield from left_over(value)


def query(options: Any) -> Any:
    return RequestConfiguration(query_parameters=options)


async def test_every_read_is_known_to_the_sdk(office: Office, graph: Any) -> None:
    grace = await graph.users.by_user_id(GRACE).get(query(Look(select=sorted(USER.selectable))))
    groups = await graph.groups.get(query(Groups(select=GROUP_SELECT)))
    await graph.users.by_user_id(LIAM).delete()
    deleted = await graph.directory.deleted_items.graph_user.get()
    answers = [
        grace,
        groups,
        deleted,
        await graph.users.get(),
        await graph.users.get(query(Find(select=SELECT, top=5))),
        await graph.users.by_user_id(GRACE).license_details.get(),
        await graph.users.by_user_id(GRACE).member_of.get(),
        await graph.users.by_user_id(GRACE).revoke_sign_in_sessions.post(),
        await graph.groups.by_group_id(groups.value[0].id).get(),
        await graph.groups.by_group_id(groups.value[0].id).members.get(),
        await graph.subscribed_skus.get(),
        await graph.organization.get(),
        await graph.directory.deleted_items.by_directory_object_id(deleted.value[0].id).get(),
        await graph.directory.deleted_items.by_directory_object_id(deleted.value[0].id).restore.post(),
    ]
    assert all(answer is not None for answer in answers)
    assert [name for answer in answers for name in left_over(answer)] == []
    assert grace.department == "Finance"
    assert grace.license_assignment_states[0].state == "Active"
    assert isinstance(answers[6].value[0], Group)
    assert isinstance(answers[9].value[0], User)
    assert answers[7].value is True


async def test_the_sdks_own_paging_sees_everybody(office: Office, graph: Any) -> None:
    office.running.simulator.configure({"page_limit": 2})
    names: list[str] = []
    pages = PageIterator(await graph.users.get(query(Find(select=["displayName"]))), graph.request_adapter)
    await pages.iterate(lambda user: names.append(user.display_name) or True)
    assert sorted(names) == sorted(user["displayName"] for user in office.users().values())
    reads = [one for one in office.control.log() if one["operation"] == "GET /users"]
    assert len(reads) == (len(names) + 1) // 2


async def test_a_refusal_is_the_sdks_error(office: Office, graph: Any) -> None:
    with pytest.raises(ODataError) as refused:
        await graph.users.by_user_id("nobody@contoso.com").get()
    assert refused.value.response_status_code == 404
    assert refused.value.error.code == "Request_ResourceNotFound"
    assert refused.value.error.inner_error.request_id
    assert list(left_over(refused.value)) == []


async def test_count_filter_and_search(office: Office, graph: Any) -> None:
    options = query(Find(count=True, filter="department eq 'Engineering'", orderby=["displayName desc"], top=1))
    options.headers.add("ConsistencyLevel", "eventual")
    found = await graph.users.get(options)
    assert (found.odata_count, found.value[0].display_name) == (3, "Sofía Muñoz")
    rest = await graph.users.with_url(found.odata_next_link).get(options)
    assert rest.value[0].display_name == "Mei Chen"
    options = query(Find(search='"displayName:connor" OR "userPrincipalName:chen"'))
    options.headers.add("ConsistencyLevel", "eventual")
    assert {user.display_name for user in (await graph.users.get(options)).value} == {"Liam O'Connor", "Mei Chen"}
