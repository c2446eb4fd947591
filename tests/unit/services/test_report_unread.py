"""Which values of a record gave no evidence."""

from __future__ import annotations

import json

import pytest

from aurora.services.report_alert import general
from aurora.services.report_unread import LARGEST, unread


def test_values_that_became_evidence_are_left_out_and_the_others_named_in_order():
    record = {"b": 1, "a": {"x": "read", "y": "not"}, "list": ["read", "not"], "empty": "", "none": None, "no": False}

    assert unread(json.dumps(record), ["/a/x", "/list/0"]) == ["/b", "/a/y", "/list/1"]


def test_json_that_stands_as_text_is_part_of_the_record():
    record = {"Entities": json.dumps([{"HostName": "read", "Type": "host"}]), "text": "[not json"}

    assert unread(json.dumps(record), ["/Entities/0/HostName"]) == ["/Entities/0/Type", "/text"]


def test_a_text_that_is_evidence_as_a_whole_is_not_taken_apart():
    record = {"command": '{"a": 1}'}

    assert unread(json.dumps(record), ["/command"]) == []


def test_what_the_shipper_added_is_left_out():
    assert unread('{"_label": "attack", "a": {"_x": 1}}', []) == []


def test_keys_are_written_as_json_pointers():
    assert unread('{"a/b": {"c~d": 1}}', []) == ["/a~1b/c~0d"]


@pytest.mark.parametrize("raw", ["", "no json", '{"a": "' + "x" * LARGEST + '"}', '{"a": "\ud800"}'])
def test_a_record_that_cannot_be_gone_through_is_not_pretended_to_be_read(raw):
    assert unread(raw, []) is None


def test_json_in_json_in_json_does_not_end_the_process():
    raw = "1"
    for _ in range(12):
        raw = json.dumps({"a": raw})

    assert unread(raw, []) == ["/a" * 12]


def test_places_of_lists_are_the_same_place():
    assert general("/Entities/12/Name/3") == "/Entities/*/Name/*"
    assert general("/v2/3x") == "/v2/3x"
