"""The shipped warning lists: what is on them is found, what only resembles it is not."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.kernel.models import ObservableType
from aurora.kernel.models.knowledge import WarningCategory
from aurora.kernel.networks import AddressScope, scope_of
from aurora.kernel.ports.knowledge import ReputationLists
from aurora.knowledge import WarningLists

T, C = ObservableType, WarningCategory
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
EICAR = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"

_SHARED = WarningLists()


@pytest.fixture(scope="module")
def lists() -> ReputationLists:
    return _SHARED


def categories(lists, type_, value):
    return {hit.category for hit in lists.lookup(type_, value)}


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (T.IP, "8.8.8.8", {C.BENIGN_INFRASTRUCTURE}),
        (T.IP, "2001:4860:4860::8888", {C.BENIGN_INFRASTRUCTURE}),
        (T.IP, "52.95.110.1", {C.CLOUD_HOSTING}),
        (T.IP, "104.16.0.1", {C.CONTENT_DELIVERY}),
        (T.IP, "162.142.125.7", {C.SCANNER}),
        (T.IP, "146.112.61.104", {C.SINKHOLE}),
        (T.DOMAIN, "ctldl.windowsupdate.com", {C.BENIGN_INFRASTRUCTURE, C.POPULAR_SITE}),
        (T.DOMAIN, "www.wikipedia.org", {C.POPULAR_SITE}),
        (T.DOMAIN, "api.ipify.org", {C.IP_LOOKUP}),
        (T.DOMAIN, "evil.example.com", {C.SPECIAL_USE}),
        (T.DOMAIN, "portal.prizegiveaway.net", {C.SIMULATION}),
        (T.URL, "http://user@162.142.125.7:8080/x", {C.SCANNER}),
        (T.URL, "https://www.wikipedia.org/", {C.POPULAR_SITE}),
        (T.EMAIL, "x@mailinator.com", {C.DYNAMIC_OR_DISPOSABLE}),
        (T.EMAIL, "x@wikipedia.org", set()),
        (T.HASH_MD5, EMPTY, {C.FALSE_POSITIVE_HASH}),
        (T.HASH_SHA256, EICAR, {C.FALSE_POSITIVE_HASH}),
        (T.FILE_PATH, "/tmp/x", set()),
    ],
)
def test_a_listed_value_has_the_category_of_its_lists(lists, type_, value, expected):
    assert categories(lists, type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (T.DOMAIN, "notwikipedia.org"),
        (T.DOMAIN, "wikipedia.org.evil.ru"),
        (T.DOMAIN, "org"),
        (T.DOMAIN, ""),
        (T.IP, "203.0.113.7"),
        (T.IP, "0.0.0.0"),
        (T.IP, "255.255.255.255"),
        (T.IP, "nonsense"),
        (T.URL, "http://wikipedia.org@evil.ru/"),
        (T.HASH_MD5, EICAR[:32]),
        (T.HASH_SHA256, EICAR[::-1]),
    ],
)
def test_what_only_resembles_a_listed_value_is_not_listed(lists, type_, value):
    assert lists.lookup(type_, value) == ()


@pytest.mark.parametrize(
    "name",
    [
        "github.com",
        "evil.github.io",
        "docs.google.com",
        "x.duckdns.org",
        "evil.blob.core.windows.net",
        "evil.azurewebsites.net",
        "evil.herokuapp.com",
    ],
)
def test_a_place_for_anybodys_content_is_never_called_benign(lists, name):
    assert not any(category.speaks_for_benign for category in categories(lists, T.DOMAIN, name))


@pytest.mark.parametrize("address", ["13.107.246.57", "104.21.27.14", "104.26.6.37"])
def test_a_front_that_many_sites_share_is_neither_sinkhole_nor_parking(lists, address):
    assert not categories(lists, T.IP, address) & {C.SINKHOLE, C.DYNAMIC_OR_DISPOSABLE}


def test_no_list_speaks_about_addresses_that_are_not_global(lists):
    for each in lists._data["lists"]:
        for entry in each.get("range", "").split():
            network = ip_network(entry)
            assert network.is_global, (each["id"], entry)
            assert scope_of(str(network.network_address)) is AddressScope.GLOBAL, (each["id"], entry)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_address_lookup_agrees_with_a_plain_search_through_all_ranges(data):
    ranges = _ranges()
    _, network = data.draw(st.sampled_from(ranges))
    offset = data.draw(
        st.sampled_from([-1, 0, network.num_addresses // 2, network.num_addresses - 1, network.num_addresses])
    )
    address = ip_address(int(network.network_address) + offset)

    hits = {_SHARED.lists[number].list_id for number in _SHARED._of_address(str(address))}

    assert hits == {name for name, each in ranges if each.version == address.version and address in each}


def test_hits_carry_name_and_version_of_the_list_in_order_of_id(lists):
    hits = lists.lookup(T.IP, "2606:4700:4700::1111")

    assert [hit.list_id for hit in hits] == ["cloudflare", "public-dns-v6"]
    assert hits[0].name == "List of known Cloudflare IP ranges"
    assert hits[0].version.isdigit()


def test_the_notice_names_source_and_licence_of_the_lists(lists):
    notice = files("aurora.knowledge").joinpath("NOTICE.md").read_text(encoding="utf-8")

    assert lists._data["licence"] == "CC0-1.0"
    assert "CC0 1.0" in notice
    assert lists._data["source"] in notice


def test_the_shipped_data_stays_small():
    sizes = {each.name: len(each.read_bytes()) for each in files("aurora.knowledge").joinpath("data").iterdir()}

    assert sizes["attack.json"] <= 400_000
    assert sizes["warninglists.json"] <= 1_500_000


@cache
def _ranges():
    return [
        (each["id"], ip_network(entry)) for each in _SHARED._data["lists"] for entry in each.get("range", "").split()
    ]
