"""Whether one thread alone gets as much done as all of them."""

from __future__ import annotations

import time

# How long an acceptor leaves it to the leader before it looks how far that got, in seconds: at
# first, since others wait so long if it gets nowhere; and at most.
_FIRST_SPAN = 0.001
_LONGEST_SPAN = 0.004

# After how long a leader is judged by how much it got done, in seconds.
_TRIAL = 0.01

# How long no leader is tried after one that was slower, in seconds. Four times as long each time.
_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 2.0

# After so many seconds of leading, all are given connections, to be measured again; and so old a
# measure does not count.
_TERM = 1.0
_MEMORY = 60.0


class Leader:
    """Decides whether one thread alone accepts and handles, while the others of a pool sleep.

    Each time it is another one: that which ends a connection first.

    Where handlers compute, threads take the interpreter from each other, and eight get less done
    than one. Where they wait, or let go of the interpreter's lock, eight get more done. A handler
    does not tell which it is. So while there is a backlog both are measured, and what is faster
    goes on.

    Attributes:
        leads: whether one has got on, and is to go on.
        attempts: how often it was left to one.
    """

    def __init__(self) -> None:
        self.leads = False
        self.attempts = 0
        self._thread: dict[str, int] = {}
        self._until = 0.0  # when nobody is to lead any more
        self._rate_of_all = 0.0  # connections a second; 0: not known
        self._measured = 0.0
        self._accepted, self._seconds = 0, 0.0  # in this trial
        self._span = _FIRST_SPAN
        self._pause = _SHORTEST_PAUSE
        self._next_attempt = 0.0
        self._led = 0.0  # seconds, in this term

    def note_all(self, ended: int, seconds: float) -> None:
        """Note how many connections all threads together have ended, while there was a backlog."""
        if ended > 0 and seconds > 0:
            self._rate_of_all = ended / seconds
            self._measured = time.monotonic()

    def span(self) -> float:
        """How long to leave it to one thread now, in seconds; 0: not at all."""
        now = time.monotonic()
        if now < self._until:  # another acceptor leaves it to one
            return 0.0
        is_known = self._rate_of_all and now - self._measured < _MEMORY
        return self._span if self.leads or (is_known and now >= self._next_attempt) else 0.0

    def put_off(self) -> None:
        """Have nobody lead for a while, since it is not allowed: that costs too much to ask."""
        self._depose(_SHORTEST_PAUSE)

    def begin(self, span: float) -> None:
        """Have the thread lead that ends a connection next, for at most `span` seconds."""
        self.attempts += 1
        self._thread = {}
        self._until = time.monotonic() + span

    def end(self) -> None:
        """Have nobody lead until the next `begin`."""
        self._until = 0.0

    def excuses(self, thread: int) -> bool:
        """Whether the one that has ended a connection, with this identifier, leaves it to another.

        If nobody leads yet, though somebody is to, this one leads.
        """
        # In one step, which no other thread can come into.
        is_another = self._thread.setdefault("leader", thread) != thread
        # The time is asked for the case that Ctrl-C came before `end`.
        return is_another and time.monotonic() < self._until

    def judge(self, accepted: int, seconds: float) -> None:
        """Decide whether a leader goes on that has accepted so many in so many seconds."""
        self._accepted += accepted
        self._seconds += seconds
        self._led += seconds
        is_over = self._seconds >= _TRIAL
        # Before that, one that is much slower ends as well.
        share = 1.0 if is_over else 0.5 if self._seconds >= _TRIAL / 4 else 0.0
        if not accepted or self._accepted < share * self._rate_of_all * self._seconds:
            self._depose(self._pause)
            self._pause = min(4 * self._pause, _LONGEST_PAUSE)
        elif self._led >= _TERM:
            self._depose(0.0)
            self._rate_of_all = 0.0
        else:
            self.leads = True
            if is_over:
                self._confirm()

    def rest(self, seconds: float) -> None:
        """Note that, after so many seconds, no thread accepts: most often there is no backlog."""
        self.leads = False
        self._led += seconds
        self._begin_trial()

    def _begin_trial(self) -> None:
        self._accepted, self._seconds = 0, 0.0

    def _confirm(self) -> None:
        self._begin_trial()
        self._span = min(2 * self._span, _LONGEST_SPAN)
        self._pause = _SHORTEST_PAUSE

    def _depose(self, pause: float) -> None:
        self.leads = False
        self._led = 0.0
        self._begin_trial()
        self._span = _FIRST_SPAN
        self._next_attempt = time.monotonic() + pause
