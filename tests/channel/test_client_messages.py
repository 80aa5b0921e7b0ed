"""Which of a client's messages have their answers, on values."""

from __future__ import annotations

from visavis.channel.client_messages import ClientMessages
from visavis.channel.handed_conversation import Mark


def test_what_an_earlier_server_has_answered_is_not_taken_again() -> None:
    messages = ClientMessages.take_over(1, Mark(answered=5, unanswered=(3,)))
    assert messages.taken == 2, "the client sends again from the first one without an answer"
    assert [messages.take() for _ in range(4)] == [True, False, False, True]  # 3, 4, 5, 6
    assert messages.taken == 6 and messages.has_answered(5) and not messages.has_answered(6)
    assert messages.answers(6) == (6, (), ())


def test_an_interrupt_that_was_answered_before_its_turn_has_no_second_answer() -> None:
    messages = ClientMessages()
    messages.index = 1
    assert messages.take() and messages.answer_interrupt(2) and not messages.answer_interrupt(2)
    assert messages.answers(1) == (1, (), (2,)), "the next server has to know it: its turn has not come"
    assert messages.take() and messages.is_answered_ahead
    assert messages.answers(2) == (2, (), ())


def test_answers_outside_the_order_are_missing_until_they_are_noted() -> None:
    messages = ClientMessages()
    messages.index = 2
    assert messages.take() and messages.answer_later() == 1
    assert messages.take() and messages.answer_later() == 2
    assert messages.answers(2) == (2, (1, 2), ())
    messages.note_answers([1])
    assert messages.answer_interrupt(2) and messages.answers(2)[:2] == (2, ())
    assert messages.session_number(2) > ClientMessages.take_over(1, Mark()).session_number(2**31)


def test_a_conversation_that_cannot_be_resumed_needs_no_numbers() -> None:
    messages = ClientMessages()
    assert messages.take() and messages.answer_later() == 0 == messages.session_number(1)
    assert messages.answer_interrupt(0) and messages.answer_interrupt(0), "each is told"
    assert messages.answers(1) == (1, (), ())
