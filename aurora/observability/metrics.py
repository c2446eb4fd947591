"""The vitals of a worker as Prometheus reads them. Counted by itself; nothing is registered for the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from aurora.observability.vitals import BOUNDS_S, Count, Sign, Took, Vitals

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_COUNTED = {
    Count.CLAIMED: ("aurora_tasks_claimed", "Tasks claimed.", None),
    Count.SETTLED: ("aurora_tasks_settled", "Endings written, by state.", "state"),
    Count.RETRIED: ("aurora_tasks_retried", "Attempts that failed and are tried again.", None),
    Count.REDELIVERED: ("aurora_tasks_redelivered", "Claimed tasks that somebody had claimed before.", None),
    Count.LEASES_LOST: ("aurora_leases_lost", "Tasks that somebody else took, or that were let go in time.", None),
}
_TIMED = {
    Took.CLAIM: ("aurora_claim_seconds", "How long it took to claim."),
    Took.SETTLE: ("aurora_settle_seconds", "How long it took to write endings."),
}
_AGED = {
    Sign.LOOP: ("aurora_loop_age_seconds", "Since the event loop came round."),
    Sign.LOOK: ("aurora_look_age_seconds", "Since somebody looked for work in the ledger."),
    Sign.BEAT: ("aurora_heartbeat_age_seconds", "Since the leases were renewed."),
}
_CIRCUIT_STATES = ("closed", "open", "half_open", "forced_open", "disabled")


def page(vitals: Vitals) -> bytes:
    """Return the page of metrics in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - 40 ms, only where asked for

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(vitals))
    return generate_latest(registry)


class _Collector:
    """Reads the vitals when the page is asked for."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def describe(self) -> list[Metric]:
        """Names of nothing: a registry that describes would have to collect first."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._gauges()
        yield from self._counters()
        yield from self._durations()
        yield from self._outside()

    def _gauges(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as in `page`

        vitals = self._vitals
        for name, text, value in (
            ("aurora_tasks_running", "Tasks that this worker runs.", vitals.running),
            ("aurora_worker_places", "Tasks that it can run at the same time.", vitals.places),
            ("aurora_worker_draining", "1 once it takes no more tasks.", int(vitals.is_draining)),
            ("aurora_worker_uptime_seconds", "Since it began.", vitals.uptime.total_seconds()),
            ("aurora_loop_lag_seconds", "By how much the event loop came round too late.", vitals.lag_s),
            ("aurora_oldest_queued_seconds", "How long the longest queued task is due.", vitals.backlog.oldest_s),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        for sign, (name, text) in _AGED.items():
            age = vitals.age(sign)
            if age is not None:
                yield GaugeMetricFamily(name, text, value=age.total_seconds())
        queued = GaugeMetricFamily("aurora_tasks_queued", "Queued tasks in the ledger, by lane.", labels=["lane"])
        for lane, number in vitals.backlog.queued.items():
            queued.add_metric([lane], number)
        yield queued

    def _counters(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - as in `page`

        counts = self._vitals.counts()
        for what, (name, text, label) in _COUNTED.items():
            if label is None:
                yield CounterMetricFamily(name, text, value=sum(counts[what].values()))
                continue
            family = CounterMetricFamily(name, text, labels=[label])
            for value, number in counts[what].items():
                family.add_metric([value], number)
            yield family

    def _durations(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 - as in `page`

        bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
        for what, (name, text) in _TIMED.items():
            found = self._vitals.durations(what)
            buckets = list(zip(bounds, accumulate(found.buckets), strict=True))
            yield HistogramMetricFamily(name, text, buckets=buckets, sum_value=found.sum_s)

    def _outside(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - as in `page`

        up = GaugeMetricFamily("aurora_dependency_up", "1 if it answered when it was asked last.", labels=["name"])
        for each in self._vitals.dependencies():
            up.add_metric([each.name], int(each.is_up))
        yield up
        states = GaugeMetricFamily("aurora_circuit_state", "1 for the state that it is in.", labels=["name", "state"])
        refused = CounterMetricFamily("aurora_circuit_refused", "Calls that were not made.", labels=["name"])
        for name, circuit in self._vitals.circuits.items():
            for state in _CIRCUIT_STATES:
                states.add_metric([name, state], int(state == circuit.state))
            refused.add_metric([name], circuit.refused)
        yield states
        yield refused
