"""Room for requests: what is held together is bounded, and no key keeps another out."""

import pytest

from engine.http.app import Limits
from engine.http.problem import Problem
from engine.http.room import Room
from tests.http.calls import Server, event, problem_of


def test_a_key_has_half_of_the_requests_and_others_the_rest() -> None:
    room = Room(4, 1_000)
    with room.entered("a"), room.entered("a"):
        with pytest.raises(Problem, match="2 requests of this key"), room.entered("a"):
            pass
        with room.entered("b"), room.entered("c"), pytest.raises(Problem, match="4 requests are"):
            room.entered("d").__enter__()
    with room.entered("a"), room.entered("a"):
        pass


def test_a_key_has_half_of_the_bytes_and_others_the_rest() -> None:
    room = Room(10, 1_000)
    with room.entered("a") as of_a, room.entered("b") as of_b, room.entered("c") as of_c:
        of_a(300)
        of_a(200)
        with pytest.raises(Problem, match="500 bytes of bodies of this key"):
            of_a(1)
        of_b(400)
        with pytest.raises(Problem, match="900 bytes of bodies are"):
            of_c(101)
        of_c(100)
    with room.entered("a") as of_a:
        of_a(500)


def test_bodies_for_which_there_is_no_room_are_to_come_again() -> None:
    server = Server(Limits(held_bytes=1_000))
    assert server.send([event("a")]).status_code == 202
    response = server.send([event(str(number)) for number in range(10)])
    assert problem_of(response) == (503, "busy")
    assert int(response.headers["retry-after"]) >= 1
    assert server.send([event("b")]).status_code == 202
