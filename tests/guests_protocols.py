"""Guests with protocols of their own: Modbus, DNS, and Open Sound Control over UDP."""

from __future__ import annotations

import mmap
import os
import socket
import socketserver
import struct
from collections.abc import Callable
from typing import Any

import pytest

from guests_common import HOST, ONE_AT_A_TIME, PROCESSES, THREADS, Gift, Guest, Room, Visit
from probes import PATIENCE


class Modbus(Guest):
    """uModbus, whose `get_server` takes any class of `socketserver`.

    A connection stays open from one request to the next, as Modbus has it. The registers are in
    shared memory, since there is one device for all clients, also where they meet processes.
    """

    packages = ("umodbus",)
    registers = 100

    def __init__(self, cls: type[socketserver.TCPServer], room: Room) -> None:
        super().__init__()
        self.cls = type("Server", (cls,), {"allow_reuse_address": True})
        self.room = room

    def make(self, gift: Gift) -> Any:
        from umodbus.server.tcp import RequestHandler, get_server

        memory = self.stack.enter_context(mmap.mmap(-1, 2 * self.registers))
        server = gift.to_instance(get_server(gift.to_class(self.cls), (HOST, 0), RequestHandler))
        addresses = list(range(self.registers))

        @server.route(slave_ids=[1], function_codes=[3], addresses=addresses)
        def read(slave_id: int, function_code: int, address: int) -> int:
            return int(struct.unpack_from("!H", memory, 2 * address)[0])

        @server.route(slave_ids=[1], function_codes=[6, 16], addresses=addresses)
        def write(slave_id: int, function_code: int, address: int, value: int) -> None:
            struct.pack_into("!H", memory, 2 * address, value)

        @server.route(slave_ids=[2], function_codes=[3], addresses=[0, 1])
        def pid(slave_id: int, function_code: int, address: int) -> int:
            return (os.getpid() >> 16, os.getpid() & 0xFFFF)[address]

        return server

    def exercise(self, visit: Visit) -> None:
        from umodbus.client import tcp
        from umodbus.exceptions import IllegalDataAddressError

        def master(number: int) -> None:
            with socket.create_connection(visit.address, PATIENCE) as sock:

                def ask(adu: bytes) -> Any:
                    return tcp.send_message(adu, sock)

                own = 10 * number
                assert ask(tcp.write_multiple_registers(1, own, [number, 7, 65535])) == 3
                assert ask(tcp.write_single_register(1, own + 1, 8)) == 8
                for _ in range(20):
                    assert ask(tcp.read_holding_registers(1, own, 3)) == [number, 8, 65535]
                with pytest.raises(IllegalDataAddressError):
                    ask(tcp.read_holding_registers(1, self.registers, 1))
                high, low = ask(tcp.read_holding_registers(2, 0, 2))
                visit.check_pid(high << 16 | low)
            with socket.create_connection(visit.address, PATIENCE) as sock:
                assert ask(tcp.read_holding_registers(1, own, 1)) == [number]

        visit.long_lived(master)


class DNS(Guest):
    """dnslib's server: a resolver of one's own, over UDP or TCP, which is threading by itself."""

    packages = ("dnslib",)
    room = THREADS

    def __init__(self, tcp: bool) -> None:
        super().__init__()
        self.tcp = tcp

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from dnslib import QTYPE, RCODE, RR, TXT, A, server

        class Resolver(server.BaseResolver):
            def resolve(self, request: Any, handler: Any) -> Any:
                reply = request.reply()
                label = request.q.qname.label[0]
                if label == b"pid":
                    reply.add_answer(RR("pid.test", QTYPE.TXT, rdata=TXT(str(os.getpid()))))
                elif label == b"nothing":
                    reply.header.rcode = RCODE.NXDOMAIN
                else:
                    reply.add_answer(RR(request.q.qname, rdata=A(f"10.0.0.{int(label)}")))
                return reply

        cls = gift.to_class(server.TCPServer if self.tcp else server.UDPServer)
        logger = server.DNSLogger(logf=lambda line: None)
        dns = server.DNSServer(Resolver(), HOST, 0, tcp=self.tcp, logger=logger, server=cls)
        dns.server = gift.to_instance(dns.server)
        announce(dns.server)
        dns.start()

    def exercise(self, visit: Visit) -> None:
        from dnslib import RCODE, DNSRecord

        def ask(name: str, kind: str) -> Any:
            question = DNSRecord.question(name, kind)
            reply = question.send(visit.host, visit.port, tcp=self.tcp, timeout=PATIENCE)
            answer = DNSRecord.parse(reply)
            assert answer.header.id == question.header.id
            return answer

        def client(number: int) -> None:
            for each in range(10 * number, 10 * number + 10):
                assert str(ask(f"{each}.test", "A").a.rdata) == f"10.0.0.{each}"
            assert ask("nothing.test", "A").header.rcode == RCODE.NXDOMAIN
            visit.check_pid(int(ask("pid.test", "TXT").a.rdata.data[0]))

        visit.together(client)


class OSC(Guest):
    """python-osc over UDP: music programs talk like this. A handler may answer the sender."""

    packages = ("pythonosc",)

    def __init__(self, class_name: str, room: Room) -> None:
        super().__init__()
        self.class_name = class_name
        self.room = room

    def make(self, gift: Gift) -> Any:
        from pythonosc import osc_server
        from pythonosc.dispatcher import Dispatcher

        dispatcher = Dispatcher()
        dispatcher.map("/sum", lambda _, *numbers: ("/sum", sum(numbers)))
        dispatcher.map("/pid", lambda *_: ("/pid", os.getpid()))
        dispatcher.map("/error", lambda *_: {}["no such key"])
        cls = gift.to_class(getattr(osc_server, self.class_name))
        return gift.to_instance(cls((HOST, 0), dispatcher))

    def exercise(self, visit: Visit) -> None:
        from pythonosc.udp_client import SimpleUDPClient

        def player(number: int) -> None:
            with SimpleUDPClient(visit.host, visit.port) as client:

                def ask(address: str, *values: int) -> Any:
                    client.send_message(address, values)
                    message = next(client.get_messages(PATIENCE))
                    assert message.address == address
                    return message.params[0]

                for each in range(20):
                    assert ask("/sum", number, each, 1000) == number + each + 1000
                client.send_message("/error", 1)
                client._sock.sendto(b"no message of OSC", visit.address)
                visit.check_pid(ask("/pid"))

        visit.together(player)


GUESTS: dict[str, Callable[[], Guest]] = {
    "umodbus": lambda: Modbus(socketserver.TCPServer, ONE_AT_A_TIME),
    "umodbus-threading": lambda: Modbus(socketserver.ThreadingTCPServer, THREADS),
    "dnslib-udp": lambda: DNS(tcp=False),
    "dnslib-tcp": lambda: DNS(tcp=True),
    "python-osc": lambda: OSC("BlockingOSCUDPServer", ONE_AT_A_TIME),
    "python-osc-threading": lambda: OSC("ThreadingOSCUDPServer", THREADS),
    "python-osc-forking": lambda: OSC("ForkingOSCUDPServer", PROCESSES),
}
