"""The breaker against a plain model of it, in any order of calls, results, cancellations and time."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aurora.dispatch.circuit import CircuitBreaker, CircuitPolicy, CircuitState, Permit

POLICY = CircuitPolicy(
    failure_threshold=3,
    recovery_timeout=timedelta(seconds=10),
    minimum_calls=4,
    window_calls=6,
    window=timedelta(seconds=30),
    slow_call=timedelta(seconds=5),
    slow_rate=0.75,
    probes=2,
    probe_deadline=timedelta(seconds=20),
    longest=timedelta(seconds=60),
    calm=timedelta(seconds=40),
)
LEGAL = {
    ("closed", "open"),
    ("open", "half_open"),
    ("half_open", "open"),
    ("half_open", "closed"),
}
draws = st.floats(0.0, 1.0, exclude_max=True)


class BreakerMachine(RuleBasedStateMachine):
    """Keeps the ended calls of the closed state in a plain list and decides from it when the breaker must open."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(POLICY)
        self.now = 0.0
        self.out: list[Permit] = []
        self.ended: list[tuple[float, bool, bool]] = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 9.999, 20.0, 40.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def the_rest_is_over(self) -> None:
        self.now += self.breaker.wait(self.now).total_seconds()

    @rule(calls=st.integers(1, 6), failed=st.booleans(), draw=draws)
    def calls_end_at_once(self, *, calls: int, failed: bool, draw: float) -> None:
        for _ in range(calls):
            permit = self.breaker.acquire(self.now, draw=draw)
            if permit is not None:
                self._end(permit, failed=failed, draw=draw)
            self.changes_are_legal_and_periods_bounded()

    @rule(draw=draws)
    def a_caller_asks(self, draw: float) -> None:
        wait = self.breaker.wait(self.now)
        permit = self.breaker.acquire(self.now, draw=draw)
        if draw == 0.0 or self.breaker.state is not CircuitState.OPEN:
            assert (permit is not None) == (wait == timedelta())
        if permit is not None:
            self.out.append(permit)
            assert self.breaker.state in {CircuitState.CLOSED, CircuitState.HALF_OPEN}

    @precondition(lambda self: self.out)
    @rule(data=st.data(), failed=st.booleans(), draw=draws, again=st.booleans())
    def a_call_ends(self, *, data: st.DataObject, failed: bool, draw: float, again: bool) -> None:
        permit = data.draw(st.sampled_from(self.out))
        if not again:
            self.out.remove(permit)
        self._end(permit, failed=failed, draw=draw)

    def _end(self, permit: Permit, *, failed: bool, draw: float) -> None:
        before, generation = self.breaker.state, self.breaker._generation
        stale = permit.is_settled or permit.generation != generation
        settle = self.breaker.failed if failed else self.breaker.succeeded

        counted = settle(permit, self.now, draw=draw)

        assert not (stale and counted)
        if counted and before is CircuitState.CLOSED:
            self.ended.append((self.now, failed, self.now - permit.at >= 5.0))
            assert (self.breaker.state is CircuitState.OPEN) == self._must_open()

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def a_call_is_cancelled(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from(self.out))
        self.out.remove(permit)
        before = self.breaker.state

        self.breaker.cancelled(permit, self.now)

        assert self.breaker.state is before or self.breaker.take_events()[-1].reason == "probe_lost"

    @precondition(lambda self: self.out)
    @rule(data=st.data(), seconds=st.sampled_from([0.5, 15.0, 1e9]))
    def a_call_is_asked_to_wait(self, data: st.DataObject, seconds: float) -> None:
        """No failure, and nobody is admitted until then; more than the longest rest is not waited."""
        permit = data.draw(st.sampled_from(self.out))
        self.out.remove(permit)
        before = self.breaker.state

        counted = self.breaker.throttled(permit, self.now, seconds=seconds)

        if counted:
            assert self.breaker.state is before
            assert self.breaker.acquire(self.now) is None
            assert self.breaker.wait(self.now) >= timedelta(seconds=min(seconds, 60.0))

    @rule()
    def it_never_wedges(self) -> None:
        """Whatever was lost, somebody is admitted after the longest rest: tried on a copy."""
        import copy

        later = copy.deepcopy(self.breaker)
        moment = self.now
        for _ in range(2):  # once to find a lost probe, once after the rest that follows
            moment += 20.0 + 60.0 * 1.2
            if later.acquire(moment) is not None:
                return
        raise AssertionError("nobody was admitted")

    @invariant()
    def changes_are_legal_and_periods_bounded(self) -> None:
        for event in self.breaker.take_events():
            assert (event.before.value, event.after.value) in LEGAL
            assert event.open_s is None or 10.0 <= event.open_s <= 60.0 * 1.2
            if event.after is CircuitState.CLOSED:
                self.ended = []

    @invariant()
    def one_probe_at_most_is_out(self) -> None:
        if self.breaker.state is CircuitState.HALF_OPEN:
            current = [p for p in self.out if p.generation == self.breaker._generation and not p.is_settled]
            assert len(current) <= 1

    @invariant()
    def the_window_agrees_with_the_list(self) -> None:
        if self.breaker.state is CircuitState.CLOSED:
            seen = self.breaker.snapshot(self.now)
            window = self._window()
            assert (seen.calls, seen.failures, seen.slow) == (
                len(window),
                sum(failed for _, failed, _ in window),
                sum(slow for _, _, slow in window),
            )

    def _window(self) -> list[tuple[float, bool, bool]]:
        return [each for each in self.ended[-6:] if each[0] > self.now - 30.0]

    def _must_open(self) -> bool:
        window = self._window()
        in_a_row = 0
        for _, failed, _ in reversed(self.ended):
            if not failed:
                break
            in_a_row += 1
        failures, slow = sum(failed for _, failed, _ in window), sum(slow for _, _, slow in window)
        enough = len(window) >= 4
        return in_a_row >= 3 or (enough and (failures * 2 >= len(window) or slow * 4 >= 3 * len(window)))


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
