"""Cases of what travels: memory that a task may change.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py, whose runner has no numpy: arrays of that are in test_big_data.py.
"""

import array

CASES = []


def case(function):
    CASES.append(function)
    return function


held = array.array("d", [1.0, 2.0])
wide = bytearray(200_000)


# kind: what the call refers to | a task that changes a captured array, `bytearray` or `memoryview` | right | each task
#    has a copy of its own
@case
def what_a_function_captured_may_be_changed(remote):
    narrow, view = bytearray(b"abc"), memoryview(bytearray(300_000))

    def change(values=bytearray(100_000)):  # noqa: B008
        held[0] += 1
        wide[0] += 1
        narrow[0] += 1
        view[0] += 1
        values[0] += 1
        return held[0], wide[0], narrow[0], view[0], values[0]

    assert [remote(change) for _ in range(3)] == [(2.0, 1, 98, 1, 1)] * 3
    assert held[0] == 1.0 and wide[0] == 0 and narrow == b"abc" and view[0] == 0


@case
def what_a_function_got_may_be_changed(remote):
    def change(*given, **named):
        for one in (*given, *named.values(), given[0], *given[3]["nested"]):
            if not isinstance(one, dict):
                one[0] = 7
        return [one[0] for one in (*given[:3], given[3]["nested"][0], named["last"])]

    big = bytearray(300_000)
    assert (
        remote(change, bytearray(3), array.array("i", [1]), big, {"nested": [bytearray(9)]}, last=bytearray(1))
        == [7] * 5
    )
    assert big[0] == 0


@case
def the_memory_of_an_object_may_be_changed_by_its_method(remote):
    class Holder:
        def __init__(self):
            self.memory = bytearray(200_000)

        def change(self):
            self.memory[0] += 1
            return self.memory[0]

    holder = Holder()
    assert [remote(holder.change), remote(holder.change), holder.memory[0]] == [1, 1, 0]


# kind: values with two faces | a `memoryview` of floats, or of two dimensions | right | format, shape and whether it can be
#    written stay
@case
def a_memoryview_keeps_its_format_and_shape(remote):
    floats = memoryview(array.array("d", [1.5, 2.5]))
    grid = memoryview(bytes(range(6))).cast("B", (2, 3))
    assert remote(lambda view: (view[1], view.format, view.readonly), floats) == (2.5, "d", False)
    assert remote(lambda view: (view.shape, view[1, 2], view.readonly), grid) == ((2, 3), 5, True)
    assert remote(lambda view: view, floats[::-1]).tolist() == [2.5, 1.5]


@case
def a_memoryview_of_a_format_of_its_owner_is_refused(remote):
    assert "format" in remote.refused(len, memoryview((__import__("ctypes").c_double * 2)()))
