"""Strategies that keep the contract, slowly: no clause may take one for broken."""

from __future__ import annotations

import time
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Threads
from .nesting import Nest

# In seconds; as if the machine were busy with something else.
MOMENT = 0.2


class SlowConstructor(Threads):
    def __init__(self) -> None:
        time.sleep(MOMENT)
        super().__init__()


class SlowReady(Threads):
    def ready(self, server: Server) -> bool:
        time.sleep(MOMENT / 40)
        return super().ready(server)


class SlowHandOver(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        time.sleep(MOMENT / 4)
        super().process_request(server, request, client_address)


class SlowBegin(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        time.sleep(MOMENT)
        super().run(server, request, client_address)


class SlowEnd(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        super().run(server, request, client_address)
        time.sleep(MOMENT)


class SlowClose(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except BaseException:  # noqa: BLE001
            server.handle_error(request, client_address)
        time.sleep(MOMENT)
        server.shutdown_request(request)


class SlowChild(Forks):
    def become_child(self, server: Server) -> None:
        time.sleep(MOMENT)
        super().become_child(server)


class SlowServe(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        time.sleep(MOMENT)
        super().serve(server, stop)
        time.sleep(MOMENT)


class SlowDrain(Threads):
    def drain(self, server: Server, timeout: float | None) -> bool:
        ended = super().drain(server, timeout)
        time.sleep(MOMENT)
        return ended


class SlowNest(Nest):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        time.sleep(MOMENT / 4)
        super().process_request(server, request, client_address)


SLOW: dict[str, list[type[Strategy]]] = {
    "each_connection_is_handled_once": [SlowHandOver, SlowBegin],
    "each_connection_is_closed": [SlowClose, SlowChild],
    "connections_stay_open_while_handled": [SlowBegin],
    "errors_are_reported": [SlowBegin, SlowChild],
    "errors_are_reported_where_they_are_caught": [SlowBegin],
    "base_exceptions_cost_one_connection": [SlowEnd, SlowReady],
    "a_failed_start_gives_the_connection_back": [SlowHandOver],
    "handle_request_handles_one": [SlowBegin],
    "datagrams_are_answered": [SlowBegin],
    "constructor_starts_nothing": [SlowConstructor],
    "repr_is_the_expression": [SlowConstructor],
    "no_descriptor_is_left": [SlowEnd, SlowDrain],
    "no_thread_is_left": [SlowEnd, SlowDrain],
    "no_child_is_left": [SlowChild],
    "children_leave_the_listener": [SlowChild],
    "children_of_the_application_are_left_alone": [SlowChild],
    "it_serves_again_after_a_shutdown": [SlowServe, SlowEnd],
    "it_serves_another_server_after_the_close": [SlowServe, SlowDrain],
    "nests_pass_on_all_questions": [SlowNest],
    "room_comes_before_the_accept": [SlowBegin, SlowReady],
    "process_request_does_not_wait_for_room": [SlowHandOver],
    "room_that_comes_back_is_used": [SlowEnd, SlowReady],
    "waiting_costs_nothing": [SlowHandOver, SlowReady],
    "serve_lasts_until_the_stop": [SlowServe],
    "serve_hears_the_stop": [SlowServe, SlowReady],
    "serve_obeys_the_signal_it_was_given": [SlowServe],
    "a_handler_may_shut_down": [SlowServe, SlowBegin],
    "drain_waits_for_the_work": [SlowDrain],
    "drain_ends_with_the_work": [SlowDrain, SlowEnd],
    "drain_keeps_its_timeout": [SlowDrain],
    "drain_tells_what_is_left": [SlowDrain],
}
