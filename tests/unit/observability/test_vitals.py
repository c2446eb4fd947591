"""What a worker notes of itself adds up, whichever thread notes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from aurora.observability.metrics import page
from aurora.observability.vitals import BOUNDS_S, Backlog, Circuit, Count, Sign, Took, Vitals


def test_counts_of_many_threads_add_up(clock):
    vitals = Vitals(clock=clock)

    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(lambda: [vitals.count(Count.SETTLED, label="succeeded") for _ in range(5000)])

    assert vitals.counts()[Count.SETTLED] == {"succeeded": 40_000}


def test_a_sign_ages_until_it_is_shown_again(clock):
    vitals = Vitals(clock=clock)
    before = vitals.age(Sign.BEAT)
    vitals.show(Sign.BEAT)
    clock.advance(timedelta(seconds=4))
    aged = vitals.age(Sign.BEAT)
    vitals.show(Sign.BEAT)

    assert (before, aged, vitals.age(Sign.BEAT)) == (None, timedelta(seconds=4), timedelta())


def test_a_duration_at_the_end_of_a_bucket_counts_into_it_and_a_longer_one_into_the_next(clock):
    vitals = Vitals(clock=clock)

    for duration in (BOUNDS_S[0], BOUNDS_S[0] * 1.5, BOUNDS_S[-1] * 2):
        vitals.took(Took.CLAIM, duration)

    found = vitals.durations(Took.CLAIM)
    assert (found.buckets[0], found.buckets[1], found.buckets[-1], sum(found.buckets)) == (1, 1, 1, 3)
    assert found.sum_s == BOUNDS_S[0] * 2.5 + BOUNDS_S[-1] * 2


def test_the_page_of_metrics_tells_all_that_was_noted(clock):
    vitals = Vitals(clock=clock)
    vitals.show(Sign.BEAT)
    vitals.count(Count.SETTLED, 3, label="dead")
    vitals.count(Count.LEASES_LOST, 2)
    vitals.took(Took.SETTLE, 0.004)
    vitals.running = 5
    vitals.backlog = Backlog({"high": 7}, 2.5)
    vitals.circuits = {"broker:nats": Circuit("half_open", admitted=9, refused=4)}
    vitals.found("database", is_up=True, is_needed=True)
    vitals.found("broker:nats", is_up=False)
    clock.advance(timedelta(seconds=1))

    lines = page(vitals).decode().splitlines()

    assert {
        'aurora_tasks_settled_total{state="dead"} 3.0',
        "aurora_leases_lost_total 2.0",
        "aurora_tasks_running 5.0",
        'aurora_tasks_queued{lane="high"} 7.0',
        "aurora_oldest_queued_seconds 2.5",
        "aurora_heartbeat_age_seconds 1.0",
        'aurora_settle_seconds_bucket{le="0.0025"} 0.0',
        'aurora_settle_seconds_bucket{le="0.005"} 1.0',
        'aurora_settle_seconds_bucket{le="+Inf"} 1.0',
        'aurora_circuit_state{name="broker:nats",state="half_open"} 1.0',
        'aurora_circuit_state{name="broker:nats",state="open"} 0.0',
        'aurora_circuit_refused_total{name="broker:nats"} 4.0',
        'aurora_dependency_up{name="database"} 1.0',
        'aurora_dependency_up{name="broker:nats"} 0.0',
    } <= set(lines)


def test_two_workers_of_one_process_do_not_count_together(clock):
    one, other = Vitals(clock=clock), Vitals(clock=clock)
    one.count(Count.CLAIMED, 3)

    assert b"aurora_tasks_claimed_total 3.0" in page(one)
    assert b"aurora_tasks_claimed_total 0.0" in page(other)
