"""What waits in a session's line, as stage and fleet keep it."""

from __future__ import annotations

import msgspec

from visavis.stage.port.line import FIRST_NUMBER, KeptLine, LineMark, LineSoFar, Waiting


def waiting(place: int, *, number: int | None = None, body: bytes = b"text") -> Waiting:
    return Waiting(place=place, number=number or 10 * place, body=body)


def line_of(*entries: Waiting) -> KeptLine:
    line = KeptLine(LineSoFar())
    for message, one in enumerate(entries, start=5):
        line.add(one, message=message)
    return line


def places(line: KeptLine) -> list[tuple[int, bool]]:
    return [(one.place, one.dropped) for one in line.so_far().waiting]


def test_what_is_done_is_forgotten_and_the_rest_of_it_takes_its_place() -> None:
    line = line_of(waiting(1), waiting(2), waiting(3))
    line.advance(LineMark(spent=400))
    assert (places(line), line.so_far().spent) == ([(1, False), (2, False), (3, False)], 400)
    line.advance(LineMark(through=2, rest=waiting(2, body=b"rest")))
    assert [(one.place, one.body) for one in line.so_far().waiting] == [(2, b"rest"), (3, b"text")]
    assert line.so_far().spent == 0
    line.advance(LineMark(through=2))
    assert places(line) == [(3, False)] and line.so_far().last_message == 7


def test_an_interrupt_drops_what_waits_and_what_it_has_overtaken_but_nothing_later() -> None:
    line = line_of(waiting(1), waiting(2))
    line.interrupt(through=25)
    line.add(waiting(3, number=25), message=9)
    line.add(waiting(4, number=26), message=10)
    assert places(line) == [(1, True), (2, True), (3, True), (4, False)]
    line.advance(LineMark(through=1, rest=waiting(1, body=b"rest")))
    assert places(line)[0] == (1, True), "a mark that was on its way brings nothing back"


def test_with_another_server_numbers_begin_anew() -> None:
    line = line_of(waiting(1), waiting(2))
    line.interrupt(through=10)
    line.forget_numbers()
    assert [one.number for one in line.so_far().waiting] == [FIRST_NUMBER] * 2
    line.add(waiting(3, number=4), message=9)
    assert places(line) == [(1, True), (2, False), (3, False)]
    again = KeptLine(msgspec.msgpack.decode(msgspec.msgpack.encode(line.so_far()), type=LineSoFar))
    assert again.so_far() == line.so_far()
