"""The trace of a caller goes on in its tasks, if the program has loaded OpenTelemetry."""

from __future__ import annotations

import os
import sys
import types

from argon._calls.trace import traced

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _load_opentelemetry(monkeypatch, fields):
    """The part of OpenTelemetry that a program loads, with a trace of the test's choice."""
    package, trace = types.ModuleType("opentelemetry"), types.ModuleType("opentelemetry.trace")
    propagate = types.ModuleType("opentelemetry.propagate")
    propagate.inject = lambda carrier: carrier.update(fields)
    package.trace, package.propagate = trace, propagate
    for module in (package, trace, propagate):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def _trace_of_task():
    return os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE")


def test_a_task_finds_the_trace_of_its_caller_and_the_next_one_its_own(own_cluster, monkeypatch):
    own_cluster.add_worker(1)
    client = own_cluster.client()
    assert client.queue(_trace_of_task) == (None, None)
    fields = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "secret"}
    _load_opentelemetry(monkeypatch, fields)
    assert client.queue(_trace_of_task) == (PARENT, "a=1")
    later = PARENT.replace("00f067aa0ba902b7", "00f067aa0ba902b8")
    fields.update(traceparent=later, tracestate="")
    assert client.queue(_trace_of_task) == (later, None)
    fields.clear()
    assert client.queue(_trace_of_task) == (None, None)
    assert client.queue(lambda name: "baggage" in os.environ or name in os.environ, "BAGGAGE") is False


def test_a_program_without_the_api_of_opentelemetry_calls_as_before(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    head = bytes(24) + (2).to_bytes(4, "big")
    assert traced(head, b"{}") == (head, b"{}")


def test_the_trace_is_added_to_the_meta_data_whatever_that_has(monkeypatch):
    _load_opentelemetry(monkeypatch, {"traceparent": PARENT})
    for text in (b"{}", b'{"call":"m:f"}'):
        hashes = bytes(32)
        head, tail = traced(bytes(24) + len(text).to_bytes(4, "big"), hashes + text)
        expected = text[:-1] + (b"" if text == b"{}" else b",") + b'"traceparent":"' + PARENT.encode() + b'"}'
        assert (tail, int.from_bytes(head[24:], "big")) == (hashes + expected, len(expected))
