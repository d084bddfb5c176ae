"""Signals: the first one is turned into `Interrupted`, now or when the caller likes, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from fingerprints.core.signals import Interrupted, deferred, handled, pending

NUMBERS = [signal.SIGTERM, signal.SIGINT]


class Escaped(BaseException):
    """A signal reached the caller's own handler."""


def kill(number: int) -> None:
    os.kill(os.getpid(), number)


def escaped(number: int, frame: FrameType | None) -> None:
    raise Escaped


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


@pytest.fixture(autouse=True)
def _handlers_come_back() -> Iterator[None]:
    before = {number: signal.signal(number, escaped) for number in NUMBERS}
    yield
    after = handlers()
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == [escaped, escaped]
    assert pending() is None


@pytest.mark.parametrize("send", [kill, signal.raise_signal])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_is_raised_with_its_exit_code(send: Callable[[int], None], number: int, code: int) -> None:
    with pytest.raises(Interrupted) as caught, handled():
        send(number)
    assert (caught.value.number, caught.value.exit_code) == (number, code)
    assert str(caught.value) == signal.Signals(number).name


def test_interruption_is_not_caught_by_accident() -> None:
    assert not issubclass(Interrupted, Exception | KeyboardInterrupt)


@pytest.mark.parametrize("error", [None, KeyError, Interrupted])
def test_handlers_are_the_callers_again_after_the_block(error: type | None) -> None:
    def block() -> None:
        with handled():
            assert escaped not in handlers()
            if error is KeyError:
                raise KeyError
            if error is Interrupted:
                kill(signal.SIGTERM)

    if error is None:
        block()
    else:
        with pytest.raises(error):
            block()
    assert handlers() == [escaped, escaped]
    with pytest.raises(Escaped):
        kill(signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
def test_deferred_signal_is_pending_until_the_block_ends(number: int) -> None:
    seen: list[object] = []

    def block() -> None:
        with handled():
            with deferred():
                seen.append(pending())
                kill(number)
                seen.append(pending())
            seen.append("after the block")

    with pytest.raises(Interrupted) as caught:
        block()
    assert caught.value.number == number
    assert seen == [None, number]


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in NUMBERS for b in NUMBERS])
def test_second_signal_is_raised_at_once(first: int, second: int) -> None:
    seen = []

    def block() -> None:
        with handled(), deferred():
            kill(first)
            seen.append("first")
            kill(second)
            seen.append("second")

    with pytest.raises(Interrupted) as caught:
        block()
    assert caught.value.number == second
    assert seen == ["first"]


def test_error_within_a_deferred_block_is_not_hidden_by_the_signal() -> None:
    def block() -> None:
        with handled(), deferred():
            kill(signal.SIGTERM)
            raise KeyError

    with pytest.raises(KeyError):
        block()


@pytest.mark.parametrize("error", [False, True])
def test_nothing_is_deferred_after_the_block(error: bool) -> None:
    seen = []

    def block() -> None:
        with handled():
            try:
                with deferred():
                    if error:
                        raise KeyError
            except KeyError:
                seen.append("error")
            kill(signal.SIGTERM)
            seen.append("after the signal")

    with pytest.raises(Interrupted):
        block()
    assert seen == ["error"] * error


def test_no_signal_no_interruption() -> None:
    with handled(), deferred():
        assert pending() is None
    with deferred():
        assert pending() is None


def test_one_interruption_leaves_nothing_to_the_next_run() -> None:
    for _ in range(2):
        with pytest.raises(Interrupted), handled(), deferred():
            kill(signal.SIGTERM)
    with handled(), deferred():
        assert pending() is None


def test_outside_the_main_thread_nothing_changes() -> None:
    seen = []

    def work() -> None:
        with handled():
            seen.append(handlers())
        seen.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[escaped, escaped]] * 2


def test_another_thread_takes_no_signal_from_the_main_thread() -> None:
    seen = []

    def work() -> None:
        with handled():
            seen.append("worked")

    def block() -> None:
        with handled(), deferred():
            kill(signal.SIGTERM)
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            seen.append(pending())
            kill(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        block()
    assert caught.value.number == signal.SIGINT
    assert seen == ["worked", signal.SIGTERM]
