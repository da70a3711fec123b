"""The runner reads the meta of a task as `json.loads` does, without loading that module."""

from __future__ import annotations

import json

import pytest

from argon._runner import code


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"a":[1,2.5,-3,1e3,null,true,false,"\\u00e9\xc3\xa9\\ud83d\\ude00"]}',
        b'{"a":NaN,"b":-Infinity}',
        b' {"a":1}',
        b'{"a":1}\n',
        b"12345678901234567890",
    ],
)
def test_a_meta_is_read_as_json_is(text):
    assert repr(code._of_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", [b"", b'{"a":', b"nonsense", b'{"a":1}x', b"\xff", b'{"a":"\n"}'])
def test_what_is_not_json_fails_as_there(text):
    with pytest.raises(ValueError) as expected:
        json.loads(text)
    with pytest.raises(type(expected.value)) as raised:
        code._of_json(text)
    assert str(raised.value) == str(expected.value)
