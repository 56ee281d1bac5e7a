#!/usr/bin/env python3
"""Writes the dashboards beside it from the panels that are named here.

    dashboards/render.py              writes the files
    dashboards/render.py --check      says whether the files are what it would write, for tests

Every query works with classic histograms and with native ones (see `quantile`), takes its data source and its job from a
variable, and uses the rate interval that Grafana works out from the scrape interval.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB = 'job=~"$job"'
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "#8e8e8e"
OUTCOME_COLOURS = {
    "ok": GREEN, "denied": RED, "throttled": YELLOW, "failed": "orange", "unreachable": "purple", "unsent": GREY,
}

Panel = dict[str, Any]

# -------------------------------------------------------------------------------------------------------------- queries


def rate(name: str, match: str, window: str = "$__rate_interval") -> str:
    """The rate of a counter of ours."""
    return f"rate(spokeprobe_{name}{{{match}}}[{window}])"


def quantile(q: float, name: str, match: str, by: str = "") -> str:
    """A quantile of a histogram, from whichever kind the server stores: only one of the two sides has data."""
    classic = ", ".join(part for part in [by, "le"] if part)
    native = f"sum by ({by})" if by else "sum"
    return (
        f"histogram_quantile({q}, sum by ({classic}) ({rate(name + '_bucket', match)}))"
        f" or histogram_quantile({q}, {native} ({rate(name, match)}))"
    )


def numbers(expr: str) -> str:
    """The same without what is no number: a quantile of nothing is no latency of 0 s either."""
    return f"({expr}) >= 0"


def observed(name: str, match: str, by: str) -> str:
    """How many observations a second a histogram takes, of either kind."""
    return f"sum by ({by}) ({rate(name + '_count', match)}) or histogram_count(sum by ({by}) ({rate(name, match)}))"


# --------------------------------------------------------------------------------------------------------------- panels


def target(expr: str, legend: str = "", **more: Any) -> dict[str, Any]:
    """One query of a panel."""
    return {"datasource": SOURCE, "editorMode": "code", "expr": expr, "legendFormat": legend or "__auto", "range": True, **more}


def instant(expr: str, **more: Any) -> dict[str, Any]:
    """A query for one moment, as a table."""
    return {"datasource": SOURCE, "editorMode": "code", "expr": expr, "format": "table", "instant": True, "range": False, **more}


def steps(*pairs: tuple[float | None, str]) -> dict[str, Any]:
    """Thresholds."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in pairs]}


def panel(kind: str, title: str, targets: list[dict[str, Any]], **more: Any) -> Panel:
    """What all kinds of panels share."""
    defaults: dict[str, Any] = {"unit": more.pop("unit", "short"), "custom": more.pop("custom", {}), "mappings": more.pop("mappings", [])}
    defaults["thresholds"] = more.pop("thresholds", steps((None, GREEN)))
    for key in ["min", "max", "decimals", "noValue", "color"]:
        if key in more:
            defaults[key] = more.pop(key)
    for at, one in enumerate(targets):
        one["refId"] = chr(ord("A") + at)
    return {
        "type": kind,
        "title": title,
        "description": more.pop("about", ""),
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        "_size": more.pop("size", (12, 8)),
        **more,
    }


def stat(title: str, expr: str, **more: Any) -> Panel:
    """One number."""
    more.setdefault("size", (4, 4))
    more.setdefault("options", {
        "colorMode": more.pop("colour_mode", "background"), "graphMode": "none", "justifyMode": "auto", "textMode": more.pop("text_mode", "auto"),
        "orientation": "auto", "wideLayout": True, "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    })
    legend = more.pop("legend", "")
    return panel("stat", title, [target(expr, legend)], **more)


def lines(title: str, *queries: tuple[str, str], stacked: bool = False, **more: Any) -> Panel:
    """Curves over time."""
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 5, "showPoints": "never", "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    more.setdefault("options", {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    })
    return panel("timeseries", title, [target(expr, legend) for expr, legend in queries], custom=custom, **more)


def states(title: str, expr: str, legend: str, words: dict[str, tuple[str, str]], **more: Any) -> Panel:
    """Bars of states over time."""
    mappings = [{"type": "value", "options": {value: {"text": text, "color": colour, "index": at} for at, (value, (text, colour)) in enumerate(words.items())}}]
    options = {
        "mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel("state-timeline", title, [target(expr, legend)], mappings=mappings, custom={"fillOpacity": 80, "lineWidth": 0}, options=options, **more)


def table(title: str, queries: list[str], columns: dict[str, str], hidden: list[str] | None = None, **more: Any) -> Panel:
    """Rows joined by their labels."""
    hide = {name: True for name in ["Time", "__name__", "job", "instance", *(hidden or [])]}
    transformations: list[dict[str, Any]] = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    transformations.append({
        "id": "organize",
        "options": {"excludeByName": hide, "indexByName": {name: at for at, name in enumerate(columns)}, "renameByName": columns},
    })
    more.setdefault("size", (24, 10))
    return panel(
        "table", title, [instant(expr) for expr in queries], transformations=transformations, custom={"align": "auto", "filterable": True},
        options={"showHeader": True, "cellHeight": "sm"}, **more,
    )


def heatmap(title: str, name: str, match: str, **more: Any) -> Panel:
    """A histogram over time, of either kind."""
    expr = f"sum by (le) (increase(spokeprobe_{name}_bucket{{{match}}}[$__rate_interval])) or sum(increase(spokeprobe_{name}{{{match}}}[$__rate_interval]))"
    options = {
        "calculate": False, "cellGap": 1, "yAxis": {"axisPlacement": "left", "unit": "s", "reverse": False},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "scale": "exponential", "reverse": False},
        "cellValues": {"unit": "short"}, "rowsFrame": {"layout": "auto"}, "showValue": "never", "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "legend": {"show": True}, "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9},
    }
    return panel("heatmap", title, [target(expr, "{{le}}", format="heatmap")], unit="s", options=options, **more)


def row(title: str) -> Panel:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "_size": (24, 1)}


def coloured(colours: dict[str, str]) -> list[dict[str, Any]]:
    """Fixed colours for series that are named by a word."""
    return [
        {"matcher": {"id": "byName", "options": word}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
        for word, colour in colours.items()
    ]


# ----------------------------------------------------------------------------------------------------------- dashboards


def variable(name: str, query: str, label: str, multi: bool = True) -> dict[str, Any]:
    """A variable over the values of a label."""
    more: dict[str, Any] = {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}} if multi else {}
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "includeAll": multi, "multi": multi, "refresh": 2,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}, "sort": 1, "regex": "", "options": [], "hide": 0, **more,
    }


def dashboard(uid: str, title: str, about: str, variables: list[dict[str, Any]], panels: list[Panel], since: str = "now-1h") -> dict[str, Any]:
    """Lays the panels out from left to right, row by row."""
    x = y = high = 0
    placed = []
    for number, one in enumerate(panels, 1):
        width, height = one.pop("_size")
        if x + width > 24:
            x, y, high = 0, y + high, 0
        placed.append({"id": number, "gridPos": {"h": height, "w": width, "x": x, "y": y}, **one})
        x, high = x + width, max(high, height)
    source = {
        "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1, "regex": "", "hide": 0,
        "includeAll": False, "multi": False, "options": [],
    }
    job = variable("job", "label_values(spokeprobe_build_info, job)", "Job")
    others = {
        "type": "dashboards", "title": "spokeprobe", "tags": ["spokeprobe"], "asDropdown": True, "includeVars": True, "keepTime": True, "targetBlank": False,
        "icon": "external link", "tooltip": "", "url": "",
    }
    return {
        "uid": uid, "id": None, "title": title, "description": about, "tags": ["spokeprobe"], "schemaVersion": 41, "version": 1, "editable": True,
        "graphTooltip": 1, "fiscalYearStartMonth": 0, "liveNow": False, "preload": False, "timezone": "", "weekStart": "", "refresh": "30s",
        "time": {"from": since, "to": "now"}, "timepicker": {}, "links": [others], "annotations": {"list": []},
        "templating": {"list": [source, job, *variables]}, "panels": placed,
    }


def each(metric: str, match: str) -> str:
    """Each target once, however many agents probe it: at its best."""
    return f"max by (spoke, api, probe, zone) ({metric}{{{match}}})"


SPOKES = variable("spoke", f"label_values(spokeprobe_up{{{JOB}}}, spoke)", "Spoke")
APIS = variable("api", f'label_values(spokeprobe_up{{{JOB},spoke=~"$spoke"}}, api)', "Api")
ZONES = variable("zone", f"label_values(spokeprobe_endpoint_up{{{JOB}}}, zone)", "Zone")
LOADS = variable("load", f"label_values(spokeprobe_load_running{{{JOB}}}, load)", "Load")
HERE_ONLY = f'{JOB},spoke=~"$spoke",api=~"$api"'
UP_WORDS = {"0": ("not as expected", RED), "1": ("as expected", GREEN)}
TO_SPOKE = [{"title": "This spoke", "url": "/d/spokeprobe-spoke?${datasource:queryparam}&${job:queryparam}&var-spoke=${__data.fields.spoke}", "targetBlank": False}]


def fleet() -> dict[str, Any]:
    """All spokes at one look."""
    ok = f'{JOB},spoke=~"$spoke",outcome="ok"'
    some = f'{JOB},spoke=~"$spoke"'
    return dashboard(
        "spokeprobe-fleet", "spokeprobe / Fleet", "Every spoke: can it be reached, how fast, and who refuses.", [SPOKES],
        [
            stat("Spokes as expected", f"count(min by (spoke) ({each('spokeprobe_up', some)}) == 1) or vector(0)", about="Spokes all of whose probes ended as configured."),
            stat("Spokes in trouble", f"count(min by (spoke) ({each('spokeprobe_up', some)}) == 0) or vector(0)", thresholds=steps((None, GREEN), (1, RED))),
            stat("Open doors", f"sum(max by (spoke, api, probe) (spokeprobe_door_open{{{some}}})) or vector(0)", thresholds=steps((None, GREEN), (1, RED)), about="Guards that were let in."),
            stat("Endpoint", f'min(spokeprobe_endpoint_up{{{JOB},zone=""}})', mappings=[{"type": "value", "options": {"0": {"text": "down", "color": RED, "index": 0}, "1": {"text": "up", "color": GREEN, "index": 1}}}]),
            stat("Attempts a second", f"sum({rate('requests_total', some)})", unit="reqps", decimals=1, colour_mode="value", thresholds=steps((None, BLUE))),
            stat("p99 of what worked", numbers(quantile(0.99, "request_duration_seconds", ok)), unit="s", noValue="nothing worked", thresholds=steps((None, GREEN), (1, YELLOW), (5, RED))),
            states("Spokes", f"min by (spoke) ({each('spokeprobe_up', some)})", "{{spoke}}", UP_WORDS, size=(24, 10), about="Red while any probe of the spoke is not as expected."),
            table(
                "What is not as expected, and who refused", [f'count by (spoke, api, probe, outcome, reason) (max by (spoke, api, probe, zone, outcome, reason) (spokeprobe_last_outcome{{{some},expected="false"}}))'],
                {"spoke": "spoke", "api": "api", "probe": "probe", "outcome": "outcome", "reason": "reason", "Value": "targets"},
                overrides=[{"matcher": {"id": "byName", "options": "spoke"}, "properties": [{"id": "links", "value": TO_SPOKE}]}],
            ),
            lines("Attempts by outcome", (f"sum by (outcome) ({rate('requests_total', some)})", "{{outcome}}"), stacked=True, unit="reqps", overrides=coloured(OUTCOME_COLOURS)),
            lines("Unexpected results by reason", (f"sum by (reason) ({rate('unexpected_results_total', some)})", "{{reason}}"), stacked=True, unit="reqps"),
            lines("p99 of what worked, slowest ten spokes", (f"topk(10, {quantile(0.99, 'request_duration_seconds', ok, 'spoke')})", "{{spoke}}"), unit="s", min=0),
            lines("Share of attempts as expected", (f"1 - sum by (spoke) ({rate('unexpected_results_total', some)}) / sum by (spoke) ({rate('requests_total', some)})", "{{spoke}}"), unit="percentunit", max=1),
            table(
                "Spokes", [f"max by (spoke, account, region, role) (spokeprobe_spoke_info{{{some}}})"],
                {"spoke": "spoke", "account": "account", "region": "region", "role": "role"}, hidden=["Value"],
                overrides=[{"matcher": {"id": "byName", "options": "spoke"}, "properties": [{"id": "links", "value": TO_SPOKE}]}],
            ),
        ],
    )


def spoke() -> dict[str, Any]:
    """One spoke."""
    ok = f'{HERE_ONLY},outcome="ok"'
    one = f'{JOB},spoke=~"$spoke"'
    single = {**SPOKES, "multi": False, "includeAll": False}
    del single["allValue"], single["current"]
    return dashboard(
        "spokeprobe-spoke", "spokeprobe / Spoke", "One spoke: each probe, its answers, its session.", [single, APIS],
        [
            stat("Probes as expected", f"avg({each('spokeprobe_up', HERE_ONLY)})", unit="percentunit", thresholds=steps((None, RED), (0.5, YELLOW), (1, GREEN))),
            stat("Open doors", f"sum(max by (spoke, api, probe) (spokeprobe_door_open{{{HERE_ONLY}}})) or vector(0)", thresholds=steps((None, GREEN), (1, RED))),
            stat("Session ends in", f"min(spokeprobe_credentials_expiry_timestamp_seconds{{{one}}}) - time() or vector(0)", unit="s", thresholds=steps((None, RED), (300, YELLOW), (600, GREEN)), about="0 when there is no session."),
            stat("p50 of what worked", numbers(quantile(0.5, "request_duration_seconds", ok)), unit="s", noValue="nothing worked", thresholds=steps((None, GREEN), (1, YELLOW), (5, RED))),
            stat("p99 of what worked", numbers(quantile(0.99, "request_duration_seconds", ok)), unit="s", noValue="nothing worked", thresholds=steps((None, GREEN), (1, YELLOW), (5, RED))),
            stat("Header bytes (8,000 at most)", f"max(spokeprobe_signed_header_bytes{{{one}}}) or vector(0)", unit="bytes", thresholds=steps((None, GREEN), (7000, YELLOW), (7500, RED))),
            states("Probes", each("spokeprobe_up", HERE_ONLY), "{{api}}/{{probe}} {{zone}}", UP_WORDS, size=(24, 9)),
            table(
                "How each probe ended last", [f"max by (api, probe, zone, outcome, reason, expected) (spokeprobe_last_outcome{{{HERE_ONLY}}})"],
                {"api": "api", "probe": "probe", "zone": "zone", "outcome": "outcome", "reason": "reason", "expected": "expected"}, hidden=["Value"],
            ),
            lines("Attempts by code and reason", (f"sum by (code, reason) ({rate('requests_total', HERE_ONLY)})", "{{code}} {{reason}}"), stacked=True, unit="reqps"),
            lines(
                "Latency of what worked", (quantile(0.5, "request_duration_seconds", ok, "api"), "p50 {{api}}"), (quantile(0.99, "request_duration_seconds", ok, "api"), "p99 {{api}}"),
                unit="s", min=0, about="From due to the last byte.",
            ),
            heatmap("Latency of all that was sent", "request_duration_seconds", HERE_ONLY),
            lines("Sessions asked for", (f"sum by (result) ({rate('assume_role_total', one)})", "{{result}}"), unit="ops"),
            lines("Due attempts that were not made", (f"sum by (cause) ({rate('missed_attempts_total', HERE_ONLY)})", "{{cause}}"), unit="ops", stacked=True),
            lines("Twin attempts", (f"sum by (as) ({rate('twin_attempts_total', HERE_ONLY)}) or vector(0)", "{{as}}"), unit="ops", about="Attempts made only to explain a vague refusal."),
        ],
    )


def endpoint() -> dict[str, Any]:
    """The shared endpoint and its zones."""
    zones = f'{JOB},zone=~"$zone"'
    phase = f"max by (zone, phase) (spokeprobe_endpoint_phase_duration_seconds{{{zones}}})"
    expiry = f"min by (zone) (spokeprobe_endpoint_certificate_expiry_timestamp_seconds{{{zones}}}) - time()"
    return dashboard(
        "spokeprobe-endpoint", "spokeprobe / Endpoint and zones", "The execute-api endpoint, each zone on its own: TCP and TLS without a request.", [ZONES],
        [
            stat("Endpoint", f'min(spokeprobe_endpoint_up{{{JOB},zone=""}})', mappings=[{"type": "value", "options": {"0": {"text": "down", "color": RED, "index": 0}, "1": {"text": "up", "color": GREEN, "index": 1}}}], size=(6, 4)),
            stat("Zones down", f'count(max by (zone) (spokeprobe_endpoint_up{{{JOB},zone!=""}}) == 0) or vector(0)', thresholds=steps((None, GREEN), (1, RED)), size=(6, 4)),
            stat("Addresses of the name", f"max(spokeprobe_endpoint_addresses{{{JOB}}})", thresholds=steps((None, RED), (1, YELLOW), (2, GREEN)), size=(6, 4)),
            stat("Certificate ends in", f"min({expiry})", unit="s", thresholds=steps((None, RED), (3 * 86400, YELLOW), (14 * 86400, GREEN)), size=(6, 4)),
            states("Up, by zone", f"max by (zone) (spokeprobe_endpoint_up{{{zones}}})", "{{zone}}", {"0": ("down", RED), "1": ("up", GREEN)}, size=(24, 7), about="Without a zone: the endpoint's name, up while any address works."),
            lines("Time of each phase", (phase, "{{phase}} {{zone}}"), unit="s", min=0, size=(24, 9)),
            table("TLS", [f"max by (zone, version) (spokeprobe_endpoint_tls_info{{{zones}}})"], {"zone": "zone", "version": "version"}, hidden=["Value"], size=(12, 8)),
            lines("Certificate ends in", (expiry, "{{zone}}"), unit="s", min=0),
            states("Shared faults", f"max by (scope) (spokeprobe_fault{{{JOB}}})", "{{scope}}", {"0": ("none", GREEN), "1": ("fault", RED)}, about="Many spokes that fail alike for one cause."),
            lines("Attempts by outcome, all spokes", (f"sum by (outcome) ({rate('requests_total', JOB)})", "{{outcome}}"), stacked=True, unit="reqps", overrides=coloured(OUTCOME_COLOURS)),
        ],
    )


def load() -> dict[str, Any]:
    """Load runs."""
    these = f'{JOB},load=~"$load"'
    # Answers have no series before the first run.
    none_yet = f"0 * sum by (load) (spokeprobe_load_running{{{these}}})"
    return dashboard(
        "spokeprobe-load", "spokeprobe / Load runs", "Rate asked and reached, response time (from due) beside service time (from sent), what was missed, what stopped a run.", [LOADS],
        [
            stat("Running", f"sum(spokeprobe_load_running{{{these}}})", thresholds=steps((None, GREY), (1, GREEN)), size=(6, 4)),
            stat("Rate asked", f"sum(spokeprobe_load_rate_asked{{{these}}})", unit="reqps", thresholds=steps((None, BLUE)), size=(6, 4)),
            stat("Missed in this time", f"sum(increase(spokeprobe_load_missed_total{{{these}}}[$__range]))", thresholds=steps((None, GREEN), (1, RED)), size=(6, 4)),
            stat("Stopped by a guard in this time", f"sum(increase(spokeprobe_load_stopped_total{{{these}}}[$__range])) or vector(0)", thresholds=steps((None, GREEN), (1, RED)), size=(6, 4)),
            lines(
                "Rate asked and reached", (f"sum by (load) (spokeprobe_load_rate_asked{{{these}}})", "asked {{load}}"),
                (f"sum by (load) ({rate('load_requests_total', these)}) or {none_yet}", "reached {{load}}"), unit="reqps", min=0,
            ),
            lines("Answers by code and reason", (f"sum by (code, reason) ({rate('load_requests_total', these)}) or sum({none_yet})", "{{code}} {{reason}}"), stacked=True, unit="reqps"),
            lines(
                "Response time, from due", (quantile(0.5, "load_response_seconds", these, "load"), "p50 {{load}}"), (quantile(0.9, "load_response_seconds", these, "load"), "p90 {{load}}"),
                (quantile(0.99, "load_response_seconds", these, "load"), "p99 {{load}}"), unit="s", min=0, about="What a caller would have waited: it holds all queueing.",
            ),
            lines(
                "Service time, from sent", (quantile(0.5, "load_service_seconds", these, "load"), "p50 {{load}}"), (quantile(0.9, "load_service_seconds", these, "load"), "p90 {{load}}"),
                (quantile(0.99, "load_service_seconds", these, "load"), "p99 {{load}}"), unit="s", min=0, about="What the far side took. Far below the response time: the agent or the connections are the bottleneck.",
            ),
            lines("Missed arrivals", (f"sum by (load) ({rate('load_missed_total', these)})", "{{load}}"), unit="ops", min=0),
            lines("Stopped runs", (f"sum by (load, guard) (increase(spokeprobe_load_stopped_total{{{these}}}[$__rate_interval])) or vector(0)", "{{load}} {{guard}}"), unit="short", min=0),
            heatmap("Response time", "load_response_seconds", these, size=(24, 9)),
        ],
    )


def agent() -> dict[str, Any]:
    """The agent itself."""
    return dashboard(
        "spokeprobe-agent", "spokeprobe / Agent", "The agent itself: is it on time, what does it cost, what does it read.", [],
        [
            stat("Agents", f"count(spokeprobe_build_info{{{JOB}}})", thresholds=steps((None, RED), (1, GREEN))),
            stat("Targets", f"count({each('spokeprobe_probe_interval_seconds', JOB)})", colour_mode="value", thresholds=steps((None, BLUE))),
            stat("In flight", f"sum(spokeprobe_in_flight_requests{{{JOB}}})", colour_mode="value", thresholds=steps((None, BLUE))),
            stat("Clock skew", f"max(abs(spokeprobe_clock_skew_seconds{{{JOB}}}))", unit="s", thresholds=steps((None, GREEN), (60, YELLOW), (240, RED))),
            stat("Panics", f"sum(spokeprobe_task_panics_total{{{JOB}}})", thresholds=steps((None, GREEN), (1, RED))),
            stat("Version", f"max by (version) (spokeprobe_build_info{{{JOB}}})", text_mode="name", legend="{{version}}", colour_mode="value", thresholds=steps((None, BLUE))),
            lines(
                "Lateness of sending", (quantile(0.5, "schedule_lag_seconds", JOB), "p50"), (quantile(0.99, "schedule_lag_seconds", JOB), "p99"), unit="s", min=0,
                about="From due to sent. Every latency figure contains it.", thresholds=steps((None, GREEN), (0.5, RED)),
            ),
            lines("Due attempts, and those that were not made", (f"sum({rate('due_attempts_total', JOB)})", "due"), (f"sum by (cause) ({rate('missed_attempts_total', JOB)})", "missed: {{cause}}"), unit="ops", min=0),
            lines("Processor", (f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])", "{{instance}}"), unit="percentunit", min=0),
            lines("Memory", (f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"), unit="bytes", min=0),
            lines("In flight, and open files", (f"spokeprobe_in_flight_requests{{{JOB}}}", "in flight {{instance}}"), (f"process_open_fds{{{JOB}}}", "files {{instance}}"), min=0),
            lines("Scrapes", (f"scrape_duration_seconds{{{JOB}}}", "{{instance}}"), unit="s", min=0),
            lines("Samples a scrape", (f"scrape_samples_scraped{{{JOB}}}", "{{instance}}"), min=0),
            lines("Calls of AssumeRole", (f"sum by (result) ({rate('assume_role_total', JOB)})", "{{result}}"), unit="ops", min=0, stacked=True),
            lines("Time of AssumeRole", (quantile(0.5, "assume_role_duration_seconds", JOB), "p50"), (quantile(0.99, "assume_role_duration_seconds", JOB), "p99"), unit="s", min=0),
            lines("Quick retries on reused connections", (f"sum({rate('connection_retries_total', JOB)})", "retries"), unit="ops", min=0),
            lines("Isolation: pairs of a role and a foreign api", (f"sum by (state) (spokeprobe_isolation_pairs{{{JOB}}})", "{{state}}"), stacked=True, min=0),
            states("Configuration", f"min(spokeprobe_config_last_reload_successful{{{JOB}}})", "read", {"0": ("refused", RED), "1": ("in use", GREEN)}),
            states("Shared faults", f"max by (scope) (spokeprobe_fault{{{JOB}}})", "{{scope}}", {"0": ("none", GREEN), "1": ("fault", RED)}),
        ],
    )


FILES = {
    "fleet.json": fleet,
    "spoke.json": spoke,
    "endpoint.json": endpoint,
    "load.json": load,
    "agent.json": agent,
}


def main() -> int:
    """Writes or compares."""
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, make in FILES.items():
        path = HERE / name
        text = json.dumps(make(), indent=2, ensure_ascii=False) + "\n"
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        if not check:
            path.write_text(text)
    for name in stale:
        print(f"{name} is not what render.py writes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
