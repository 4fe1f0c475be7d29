"""Numbers for Prometheus, read from the live state when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pbx.cti.permissions import Scope
from pbx.ports.backend import Backend, Histogram

from .live import measure

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=values"


class BackendCollector(Collector):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_live()
        yield from self._collect_log()
        yield from self._collect_server()

    def _collect_live(self) -> Iterator[Metric]:
        state = self._backend.desk.hub.live.state
        board = measure(self._backend, Scope(everything=True))
        yield GaugeMetricFamily("tandem_calls", "Calls that run", value=len(state.calls))
        agents = GaugeMetricFamily("tandem_agents", "Agents by state", labels=["state"])
        for name, count in board.agents.items():
            agents.add_metric([name], count)
        yield agents
        waiting = GaugeMetricFamily("tandem_queue_waiting", "Items that wait", labels=["queue"])
        longest = GaugeMetricFamily("tandem_queue_longest_wait_seconds", "Longest wait now", labels=["queue"])
        level = GaugeMetricFamily("tandem_queue_service_level", "Service level, last half hour", labels=["queue"])
        for row in board.queues:
            waiting.add_metric([row.queue], row.waiting)
            longest.add_metric([row.queue], row.longest_wait_s)
            if row.service_level_now is not None:
                level.add_metric([row.queue], row.service_level_now)
        yield from (waiting, longest, level)
        trunks = GaugeMetricFamily("tandem_trunk_up", "1 where the trunk works", labels=["trunk"])
        for trunk in state.trunks.values():
            trunks.add_metric([trunk.trunk], trunk.state == "up")
        yield trunks

    def _collect_log(self) -> Iterator[Metric]:
        log, hub = self._backend.log, self._backend.desk.hub
        yield CounterMetricFamily("tandem_events", "Events in the log", value=log.last_seq)
        yield GaugeMetricFamily("tandem_log_pending", "Writes that are not on disk yet", value=log.pending)
        yield GaugeMetricFamily("tandem_log_database_away", "1 while the journal takes its place", value=log.is_away)
        yield CounterMetricFamily("tandem_log_lost", "Events that could be kept nowhere", value=log.lost)
        yield GaugeMetricFamily("tandem_cti_clients", "CTI connections", value=len(hub))
        yield CounterMetricFamily("tandem_cti_frames", "Frames sent to CTI clients", value=hub.stats.frames)
        yield CounterMetricFamily("tandem_cti_commands", "Commands carried out", value=hub.stats.commands)
        yield CounterMetricFamily("tandem_cti_slow_readers", "Clients closed as slow", value=hub.stats.closed_slow)

    def _collect_server(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        histograms: dict[str, HistogramMetricFamily] = {}
        for metric in self._backend.metrics():
            if isinstance(metric, Histogram):
                histogram = histograms.setdefault(
                    metric.name, HistogramMetricFamily(metric.name, metric.help, labels=list(metric.labels))
                )
                bounds = [*(str(bound) for bound in metric.bounds), "+Inf"]
                buckets = list(zip(bounds, accumulate(metric.counts), strict=True))
                histogram.add_metric(list(metric.labels.values()), buckets, metric.sum)
                continue
            family = families.get(metric.name)
            if family is None:
                kind = CounterMetricFamily if metric.name.endswith("_total") else GaugeMetricFamily
                family = families[metric.name] = kind(
                    metric.name.removesuffix("_total"), metric.help, labels=list(metric.labels)
                )
            family.add_metric(list(metric.labels.values()), metric.value)
        yield from families.values()
        yield from histograms.values()


def render_metrics(backend: Backend) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BackendCollector(backend))
    return generate_latest(registry)
