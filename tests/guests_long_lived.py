"""Guests whose connections live long: DICOM associations, and connections to a Redis server."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guests_common import CLIENTS, HOST, MANY, THREADS, Gift, Guest, Room, Visit
from probes import PATIENCE


class DICOM(Guest):
    """pynetdicom, for medical images.

    Its handler starts a thread, hands it the connection, and returns. So the connection outlives
    its handler, and associations are concurrent even where handlers run one at a time.
    """

    packages = ("pynetdicom",)

    def __init__(self, class_name: str) -> None:
        super().__init__()
        self.class_name = class_name
        self.room = THREADS

    def room_with(self, strategy: str) -> Room:
        return super().room_with(strategy)._replace(at_once=MANY)

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from pydicom.dataset import Dataset
        from pynetdicom import AE, evt, sop_class, transport

        cls = gift.to_class(getattr(transport, self.class_name))

        def on_find(event: Any) -> Any:
            for number in range(3):
                found = Dataset()
                found.PatientName = f"{event.identifier.PatientName}^{number}"
                found.PatientID = str(os.getpid())
                yield 0xFF00, found

        class OwnAE(AE):
            def make_server(self, *args: Any, **options: Any) -> Any:
                options["server_class"] = cls
                server = gift.to_instance(super().make_server(*args, **options))
                announce(server)
                return server

        ae = OwnAE(ae_title="GUEST")
        ae.add_supported_context(sop_class.Verification)
        ae.add_supported_context(sop_class.PatientRootQueryRetrieveInformationModelFind)
        ae.start_server((HOST, 0), evt_handlers=[(evt.EVT_C_FIND, on_find)])

    def exercise(self, visit: Visit) -> None:
        from pynetdicom import AE, sop_class

        ae = AE()
        ae.add_requested_context(sop_class.Verification)
        ae.add_requested_context(sop_class.PatientRootQueryRetrieveInformationModelFind)

        @contextlib.contextmanager
        def associated() -> Iterator[Any]:
            association = ae.associate(visit.host, visit.port)
            try:
                assert association.is_established
                yield association
            finally:
                # One that is over does not mind; one that fails would leave its threads.
                association.abort()

        def peer(number: int) -> None:
            with associated() as association:
                for _ in range(3):
                    check_association(association, number, visit)
                pause(association)
                association.release()
                assert association.is_released
            # One that is cut short harms nobody.
            with associated() as association:
                check_association(association, number, visit)

        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
        if visit.room.at_once > 1:
            # One stays while others come and go.
            with associated() as association:
                visit.long_lived(peer, 3)
                check_association(association, 9, visit)
                pause(association)
                association.release()
        visit.long_lived(peer, 3)


def pause(association: Any) -> None:
    """Wait until the thread that belongs to the association really waits.

    It says that it has paused a moment before it does. What is sent in that moment may be answered
    before it looks for messages once more, and then it takes the answer away from who has asked.
    """
    checkpoint = association._reactor_checkpoint
    checkpoint.clear()
    while association.is_alive() and not checkpoint._cond._waiters:
        time.sleep(0.001)


def check_association(association: Any, number: int, visit: Visit) -> None:
    """Ask for an echo, and for the three patients that it finds by a name."""
    from pydicom.dataset import Dataset
    from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as Find

    pause(association)
    assert association.send_c_echo().Status == 0
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientName = f"Guest{number}"
    pause(association)
    answers = list(association.send_c_find(query, Find))
    assert [status.Status for status, _ in answers] == [0xFF00] * 3 + [0]
    names = [str(each.PatientName) for _, each in answers if each]
    assert names == [f"Guest{number}^{each}" for each in range(3)]
    visit.check_pid(int(answers[0][1].PatientID))


class Redis(Guest):
    """fakeredis as a server, for redis-py. All of its data is in the memory of its process."""

    packages = ("fakeredis", "redis")
    room = THREADS

    def make(self, gift: Gift) -> Any:
        from fakeredis import TcpFakeServer

        return gift.to_instance(gift.to_class(TcpFakeServer)((HOST, 0)))

    def exercise(self, visit: Visit) -> None:
        import redis

        def connect() -> Any:
            # One connection, pipelines included. A client with `single_connection_client` opens
            # a second one for a pipeline, which waits for ever where there is room for one.
            pool = redis.ConnectionPool(
                host=visit.host, port=visit.port, max_connections=1, socket_timeout=PATIENCE
            )
            return redis.Redis.from_pool(pool)

        def client(number: int) -> None:
            key = f"key{number}"
            with connect() as own:
                assert own.ping()
                assert own.set(key, "x" * 10_000)
                assert own.get(key) == b"x" * 10_000
                assert [own.incr(f"{key}:count") for _ in range(50)] == list(range(1, 51))
                with pytest.raises(redis.ResponseError, match="not an integer"):
                    own.incr(key)
                with own.pipeline() as pipeline:
                    replies = pipeline.lpush(f"{key}:list", 1, 2).lrange(f"{key}:list", 0, 9)
                    assert replies.execute() == [2, [b"2", b"1"]]

        visit.long_lived(client)
        if visit.room.shared:
            with connect() as later:
                assert len(later.keys("*:count")) == CLIENTS
        # Two that talk to each other need to be in one process, at the same time.
        if visit.room.shared and visit.room.at_once > 1:
            with connect() as waiting, connect() as giving, waiting.pubsub() as channel:
                channel.subscribe("news")
                assert channel.get_message(timeout=PATIENCE)["type"] == "subscribe"
                assert giving.publish("news", "good") == 1
                assert channel.get_message(timeout=PATIENCE)["data"] == b"good"


GUESTS: dict[str, Callable[[], Guest]] = {
    "pynetdicom": lambda: DICOM("AssociationServer"),
    "pynetdicom-threaded": lambda: DICOM("ThreadedAssociationServer"),
    "fakeredis": Redis,
}
