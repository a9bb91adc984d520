"""Families of HTTP metrics that are recognised by their names: what counts requests, what times them, which labels tell
services, answers and releases. A family that is not here is not proposed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """`services`, `codes` and `releases` are labels, best first. `durations` is empty where there is no histogram.

    `proxies` families count what passes a balancer: they know backends, not applications.
    """

    name: str
    title: str
    requests: str
    durations: str = ""
    unit: str = ""
    services: tuple[str, ...] = ("service", "app", "application", "job")
    codes: tuple[str, ...] = ("code", "status", "status_code")
    releases: tuple[str, ...] = ("release", "version", "app_version")
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proxies: bool = False


_OTEL = ("service_name", "exported_job", "job")
_OTEL_RELEASES = ("service_version", "release", "version")
_KUBERNETES = ("app_kubernetes_io_version", "version")

FAMILIES: tuple[MetricFamily, ...] = (
    MetricFamily(
        "prometheus",
        "Prometheus' own conventions",
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        codes=("code", "status", "status_code", "http_status", "http_code"),
    ),
    MetricFamily(
        "otel",
        "OpenTelemetry, stable names",
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_bucket",
        services=_OTEL,
        codes=("http_response_status_code",),
        releases=_OTEL_RELEASES,
    ),
    MetricFamily(
        "otel-old",
        "OpenTelemetry, names before 1.23",
        "http_server_duration_milliseconds_count",
        "http_server_duration_milliseconds_bucket",
        services=_OTEL,
        codes=("http_status_code",),
        releases=_OTEL_RELEASES,
    ),
    MetricFamily(
        "spring",
        "Micrometer (Spring Boot)",
        "http_server_requests_seconds_count",
        "http_server_requests_seconds_bucket",
        services=("application", "service", "app", "job"),
        codes=("status",),
    ),
    MetricFamily(
        "istio",
        "Istio",
        "istio_requests_total",
        "istio_request_duration_milliseconds_bucket",
        services=("destination_canonical_service", "destination_service_name", "destination_app"),
        codes=("response_code",),
        releases=("destination_canonical_revision", "destination_version"),
        labels={"reporter": ("destination",)},
    ),
    MetricFamily(
        "ingress-nginx",
        "ingress-nginx",
        "nginx_ingress_controller_requests",
        "nginx_ingress_controller_request_duration_seconds_bucket",
        services=("exported_service", "service", "ingress"),
        codes=("status",),
        releases=_KUBERNETES,
    ),
    MetricFamily(
        "traefik",
        "Traefik",
        "traefik_service_requests_total",
        "traefik_service_request_duration_seconds_bucket",
        services=("exported_service", "service"),
        codes=("code",),
        proxies=True,
    ),
    MetricFamily(
        "envoy",
        "Envoy",
        "envoy_cluster_upstream_rq_xx",
        "envoy_cluster_upstream_rq_time_bucket",
        unit="ms",
        services=("envoy_cluster_name",),
        codes=("envoy_response_code_class",),
        proxies=True,
    ),
    MetricFamily(
        "haproxy",
        "HAProxy's own exporter",
        "haproxy_backend_http_responses_total",
        services=("proxy", "backend"),
        codes=("code",),
        proxies=True,
    ),
    MetricFamily(
        "nginx-vts",
        "nginx with the VTS module",
        "nginx_vts_server_requests_total",
        services=("host",),
        codes=("code",),
        proxies=True,
    ),
    MetricFamily(
        "nginx",
        "nginx' status page",
        "nginx_http_requests_total",
        services=("service", "app", "job"),
        codes=("code", "status"),
        proxies=True,
    ),
)
"""Those that know applications first: the first one that has a service is read first. HAProxy's exporter before 2.0
has the same names as its successor, with other labels."""
BY_NAME: Mapping[str, MetricFamily] = {family.name: family for family in FAMILIES}
DOTTED = ("http.server.request.duration", "http.server.duration")
"""OpenTelemetry's names where a Prometheus keeps them as they are."""


def first_label(wanted: Iterable[str], present: Mapping[str, int], rows: int) -> str:
    """The first of some labels that most series have; `present` counts the series that have each one."""
    return next((label for label in wanted if present.get(label, 0) * 2 > rows), "")
