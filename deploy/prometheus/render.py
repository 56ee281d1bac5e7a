#!/usr/bin/env python3
"""Writes the rule files beside it: recording rules for classic and for native histograms, and the alerts.

    deploy/prometheus/render.py              writes the files
    deploy/prometheus/render.py --check      says whether the files are what it would write, for tests

Objectives and thresholds stand at the head of this file. Change them here and write the files again, or edit the written
files: nothing else reads this script.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent

# ---------------------------------------------------------------------------------------------------- what to change

# Where the repository can be read by whom an alert wakes; runbooks are files of this repository.
REPOSITORY = "https://github.com/spokeprobe/spokeprobe/blob/main"

# The share of attempts of a spoke that must be as expected, and the share of attempts that want an answer which must be
# answered with success within FAST_SECONDS (one of `metrics.buckets`).
AVAILABILITY_OBJECTIVE = 0.999
LATENCY_OBJECTIVE = 0.99
FAST_SECONDS = 1

# The plain form of "slow", for those who keep no error budget: below this share of fast answers over five minutes.
FAST_SHARE_FLOOR = 0.95

# ------------------------------------------------------------------------------------------------------- the windows

WINDOWS = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]

# Severity, burn factor, long and short window (Google's SRE workbook, chapter 5, table 5-8).
BURN_RATES = [
    ("critical", 14.4, "1h", "5m"),
    ("critical", 6, "6h", "30m"),
    ("warning", 3, "1d", "2h"),
    ("warning", 1, "3d", "6h"),
]

HEAD = """\
# {title}
# Written by render.py in this folder, which holds objectives and thresholds.
groups:
"""


def le(seconds: float) -> str:
    """A bound as a pattern: Prometheus 3 writes whole numbers with `.0` when it stores a scrape, Prometheus 2 does not."""
    return f"{seconds:g}(\\\\.0)?" if float(seconds).is_integer() else f"{seconds:g}".replace(".", "\\\\.")


def block(text: str, indent: int) -> str:
    """The text as the lines of a YAML block."""
    return "\n".join(" " * indent + line if line else "" for line in text.strip().splitlines())


# ------------------------------------------------------------------------------------------------------------ recording


def latency_parts(flavour: str, window: str) -> tuple[str, str]:
    """Rates of fast successes and of all successes of a spoke."""
    name = "spokeprobe_request_duration_seconds"
    if flavour == "classic":
        fast = f'sum by (spoke) (rate({name}_bucket{{outcome="ok",le=~"{le(FAST_SECONDS)}"}}[{window}]))'
        good = f'sum by (spoke) (rate({name}_count{{outcome="ok"}}[{window}]))'
    else:
        whole = f'sum by (spoke) (rate({name}{{outcome="ok"}}[{window}]))'
        good = f"histogram_count({whole})"
        fast = f"histogram_fraction(0, {FAST_SECONDS}, {whole}) * {good}"
    return fast, good


def recording(flavour: str) -> str:
    """The file of recording rules for one kind of histogram."""
    title = f"Recording rules for {flavour} histograms. Load this file or its sibling, never both."
    out = [HEAD.format(title=title)]
    out.append("  - name: spokeprobe.slo\n    rules:\n")
    for window in WINDOWS:
        bad = f"sum by (spoke) (rate(spokeprobe_unexpected_results_total[{window}]))"
        # An attempt that the agent had no room for says nothing of the spoke.
        all_attempts = f'sum by (spoke) (rate(spokeprobe_requests_total{{reason!="overloaded"}}[{window}]))'
        out.append(rule(f"spokeprobe:slo_errors:ratio_rate{window}", f"{bad}\n/\n({all_attempts} > 0)", {"slo": "availability"}))
        fast, good = latency_parts(flavour, window)
        # Guards want no answer: those whose door is closed are in neither part. What failed was not fast either.
        lost = f'sum by (spoke) (rate(spokeprobe_unexpected_results_total{{outcome!="ok"}}[{window}]))'
        expr = f"1 - (\n  ({fast} or 0 * {lost})\n  /\n  ((({good}) or 0 * {lost}) + {lost} > 0)\n)"
        out.append(rule(f"spokeprobe:slo_errors:ratio_rate{window}", expr, {"slo": "latency"}))
    out.append("\n  - name: spokeprobe.slo-objectives\n    rules:\n")
    for slo, objective in [("availability", AVAILABILITY_OBJECTIVE), ("latency", LATENCY_OBJECTIVE)]:
        out.append(rule("spokeprobe:slo_objective:ratio", f"vector({objective})", {"slo": slo}))
    out.append("\n  - name: spokeprobe.latency\n    rules:\n")
    for quantile, name in [(0.5, "p50"), (0.99, "p99")]:
        series = 'spokeprobe_request_duration_seconds{suffix}{{outcome="ok"}}[5m]'
        if flavour == "classic":
            expr = f"histogram_quantile({quantile}, sum by (spoke, api, le) (rate({series.format(suffix='_bucket')})))"
        else:
            expr = f"histogram_quantile({quantile}, sum by (spoke, api) (rate({series.format(suffix='')})))"
        out.append(rule(f"spokeprobe:request_duration_seconds:{name}_5m", expr))
    lag = "spokeprobe_schedule_lag_seconds"
    by_le = f"sum by (le) (rate({lag}_bucket[5m]))" if flavour == "classic" else f"sum(rate({lag}[5m]))"
    out.append(rule("spokeprobe:schedule_lag_seconds:p99_5m", f"histogram_quantile(0.99, {by_le})"))
    out.append(targets())
    return "".join(out)


# A target's labels. With `members.replicas` several agents probe it, and each writes its series.
TARGET = "spoke, api, probe, zone"


def targets() -> str:
    """Each target once, however many agents probe it: up where any of them says so. Where they differ, an alert says so."""
    out = ["\n  - name: spokeprobe.targets\n    rules:\n"]
    for operation in ["max", "min", "count"]:
        out.append(rule(f"spokeprobe:target_up:{operation}", f"{operation} by ({TARGET}) (spokeprobe_up)"))
    return "".join(out)


def rule(name: str, expr: str, labels: dict[str, str] | None = None) -> str:
    """One recording rule."""
    text = f"      - record: {name}\n        expr: |\n{block(expr, 10)}\n"
    if labels:
        text += "        labels:\n" + "".join(f"          {key}: {value}\n" for key, value in labels.items())
    return text


# --------------------------------------------------------------------------------------------------------------- alerts


def alert(
    name: str,
    expr: str,
    held: str,
    severity: str,
    scope: str,
    summary: str,
    description: str,
    *,
    runbook: str | None = None,
    labels: dict[str, str] | None = None,
    keep: str | None = None,
) -> str:
    """One alerting rule. `scope` is what inhibition goes by: agent, endpoint, sts, spoke or security."""
    text = f"      - alert: {name}\n        expr: |\n{block(expr, 10)}\n"
    if held != "0m":
        text += f"        for: {held}\n"
    if keep:
        text += f"        keep_firing_for: {keep}\n"
    text += f"        labels:\n          severity: {severity}\n          scope: {scope}\n"
    text += "".join(f"          {key}: {value}\n" for key, value in (labels or {}).items())
    page = runbook or f"docs/runbooks/{name}.md"
    text += "        annotations:\n"
    for key, value in [("summary", summary), ("description", description), ("runbook_url", f"{REPOSITORY}/{page}")]:
        quoted = value.replace("'", "''")
        text += f"          {key}: '{quoted}'\n"
    return text


# Several agents that share the targets each judge by what they probe, so a fault of all is one that at least half of them
# see: what a single one sees may be its own.

# Adds the account and the labels of alert routes. `max by` makes it one series also while two agents probe a spoke; a label that
# no spoke has configured stays empty.
# How many probes of a spoke an alert is about.
PROBES = "{{ $value }} {{ if eq $value 1.0 }}probe{{ else }}probes{{ end }} of {{ $labels.spoke }}"
WITH_TEAM = "* on (spoke) group_left (account, team, env)\n  max by (spoke, account, team, env) (spokeprobe_spoke_info)"


def last(outcome: str) -> str:
    """How many targets of a spoke ended so last, unexpectedly, by reason: each once, and none that another agent finds up."""
    which = f'spokeprobe_last_outcome{{outcome=~"{outcome}",expected="false",reason!="overloaded"}}'
    each_once = f"max by ({TARGET}, outcome, reason) ({which})"
    nowhere_up = f"unless on ({TARGET}) spokeprobe:target_up:max == 1"
    return f"count by (spoke, outcome, reason) (\n  {each_once}\n  {nowhere_up}\n)\n  {WITH_TEAM}"


def alerts() -> str:
    """The file of alerts."""
    out = [HEAD.format(title="Alerts. Load them together with one of the files of recording rules.")]
    out.append("  - name: spokeprobe.agent\n    rules:\n")
    out += [
        alert(
            "SpokeprobeAgentAbsent", "absent(spokeprobe_build_info)", "5m", "critical", "agent",
            "No spokeprobe agent is scraped",
            "No agent has been scraped for five minutes: nothing is known of any spoke.",
        ),
        alert(
            "SpokeprobeAgentOverloaded", 'spokeprobe_fault{scope="agent"} == 1', "2m", "critical", "agent",
            "The agent itself cannot keep up",
            "The agent says that it is the cause of late or missing attempts: too little CPU, or limits.in_flight too small.",
        ),
        alert(
            "SpokeprobeScheduleLag", "spokeprobe:schedule_lag_seconds:p99_5m > 0.5", "5m", "warning", "agent",
            "Attempts are sent late",
            "1% of the attempts of the last five minutes were sent {{ $value | humanizeDuration }} or more after they were due.",
        ),
        alert(
            "SpokeprobeMissedAttempts",
            "sum by (cause) (rate(spokeprobe_missed_attempts_total[5m]))\n  / ignoring (cause) group_left\n"
            "sum(rate(spokeprobe_due_attempts_total[5m])) > 0.01",
            "5m", "warning", "agent",
            "Due attempts are not made ({{ $labels.cause }})",
            "{{ $value | humanizePercentage }} of the due attempts of the last five minutes were not made: {{ $labels.cause }}.",
        ),
        alert(
            "SpokeprobeTaskPanicked", "increase(spokeprobe_task_panics_total[15m]) > 0", "0m", "warning", "agent",
            "A task of the agent panicked",
            "This is a defect of the agent; the log has the place. What it was doing is counted as missed.",
        ),
        alert(
            "SpokeprobeReloadFailed", "spokeprobe_config_last_reload_successful == 0", "5m", "warning", "agent",
            "The configuration could not be read again",
            "The agent goes on with what it read before. `spokeprobe plan` names every problem with its place.",
        ),
        alert(
            "SpokeprobeIncludeLeftOut", "spokeprobe_config_include_successful == 0", "5m", "warning", "agent",
            "{{ $labels.file }} is left out of the configuration",
            "The spokes of {{ $labels.file }} are not probed, or only as last read. `spokeprobe plan` names every problem.",
        ),
        alert(
            "SpokeprobeClockSkew", "abs(spokeprobe_clock_skew_seconds) > 60", "5m", "warning", "agent",
            "The agent's clock is {{ $value | humanizeDuration }} off",
            "The clock differs from API Gateway's. Signatures are refused from about five minutes on: check chrony or the time sync service.",
        ),
        alert(
            "SpokeprobeClockSkewCritical", "abs(spokeprobe_clock_skew_seconds) > 240", "2m", "critical", "agent",
            "Signatures are about to be refused: the agent's clock is {{ $value | humanizeDuration }} off",
            "Signatures are refused from about five minutes on: check chrony or the time sync service.",
            runbook="docs/runbooks/SpokeprobeClockSkew.md",
        ),
        alert(
            "SpokeprobeMembersUnknown", "spokeprobe_members == 0", "5m", "warning", "agent",
            "An agent does not know who shares the targets with it",
            "It probes every target, as others may do too, and begins no load: nothing is missed, and some is probed twice. "
            "Its log says what DNS answered.",
        ),
        alert(
            "SpokeprobeMembersDisagree",
            "max by (job) (spokeprobe_members > 0) != min by (job) (spokeprobe_members > 0)\n"
            "  or max by (job) (spokeprobe_members > 0) != count by (job) (spokeprobe_members > 0)",
            "10m", "warning", "agent",
            "The agents do not agree who shares the targets",
            "Some targets may be probed twice, or by nobody: agents see {{ $value }} members, and others see another number, or "
            "not all of them are scraped.",
        ),
    ]
    out.append("\n  - name: spokeprobe.endpoint\n    rules:\n")
    expiry = "spokeprobe_endpoint_certificate_expiry_timestamp_seconds - time()"
    out += [
        alert(
            "SpokeprobeEndpointDown",
            '(max(spokeprobe_endpoint_up{zone=""}) == 0)\n  or (avg(spokeprobe_fault{scope="endpoint"}) >= 0.5)',
            "1m", "critical", "endpoint",
            "The shared execute-api endpoint does not work",
            "No address of the endpoint completes a handshake, or most spokes fail alike for its sake. Alerts of single spokes are held back.",
        ),
        alert(
            "SpokeprobeZoneDown", 'max by (zone) (spokeprobe_endpoint_up{zone!=""}) == 0', "2m", "critical", "endpoint-zone",
            "The endpoint does not answer in zone {{ $labels.zone }}",
            "TCP or TLS to the endpoint's interface in {{ $labels.zone }} fails, while other zones may work: callers are hit in part.",
        ),
        alert(
            "SpokeprobeCertificateExpiring", f"min({expiry}) < 14 * 86400", "1h", "warning", "endpoint-certificate",
            "The endpoint's certificate ends in {{ $value | humanizeDuration }}",
            "AWS renews the certificate of its names long before; one of your own (alias, private custom domain) is yours to renew.",
        ),
        alert(
            "SpokeprobeCertificateExpiringCritical", f"min({expiry}) < 3 * 86400", "10m", "critical", "endpoint-certificate",
            "The endpoint's certificate ends in {{ $value | humanizeDuration }}",
            "Every caller that checks certificates will fail from then on.",
            runbook="docs/runbooks/SpokeprobeCertificateExpiring.md",
        ),
    ]
    out.append("\n  - name: spokeprobe.credentials\n    rules:\n")
    out += [
        alert(
            "SpokeprobeStsDown", 'avg(spokeprobe_fault{scope="sts"}) >= 0.5', "2m", "critical", "sts",
            "STS gives no sessions to the agent",
            "Most roles cannot be assumed alike: STS, its endpoint in the hub, or the agent's own role. Sessions in hand are used until they end.",
        ),
        alert(
            "SpokeprobeAssumeRoleDenied",
            'sum by (spoke) (increase(spokeprobe_assume_role_total{result="denied"}[15m])) > 0\n'
            '  unless on (spoke) sum by (spoke) (increase(spokeprobe_assume_role_total{result="ok"}[15m])) > 0',
            "5m", "warning", "spoke",
            "STS refuses the role of {{ $labels.spoke }}",
            "The session in hand is used until it ends; then nothing is sent to {{ $labels.spoke }}. `spokeprobe doctor {{ $labels.spoke }}` says who refuses.",
        ),
        alert(
            "SpokeprobeCredentialsExpiring",
            "min by (spoke) (spokeprobe_credentials_expiry_timestamp_seconds - time()) < 300", "2m", "warning", "spoke",
            "The session of {{ $labels.spoke }} ends in {{ $value | humanizeDuration }}",
            "A session is renewed at half of its life; this one was not.",
        ),
    ]
    out.append("\n  - name: spokeprobe.spokes\n    rules:\n")
    reason = "docs/reasons/{{ $labels.reason }}.md"
    out += [
        alert(
            "SpokeprobeDenied", last("denied"), "1m", "critical", "spoke",
            "{{ $labels.spoke }} refuses: {{ $labels.reason }}",
            PROBES + " (account {{ $labels.account }}) refused, and should not be: {{ $labels.reason }}. "
            "`spokeprobe explain {{ $labels.reason }}` says who owns that.",
            runbook=reason, keep="2m",
        ),
        alert(
            "SpokeprobeFailing", last("failed|throttled"), "2m", "critical", "spoke",
            "{{ $labels.spoke }} fails: {{ $labels.reason }}",
            PROBES + " (account {{ $labels.account }}) got the wrong answer or none: {{ $labels.reason }}.",
            runbook=reason, keep="2m",
        ),
        alert(
            "SpokeprobeUnreachable", last("unreachable"), "2m", "critical", "spoke",
            "{{ $labels.spoke }} cannot be reached: {{ $labels.reason }}",
            PROBES + " (account {{ $labels.account }}) reached nobody: {{ $labels.reason }}.",
            runbook=reason, keep="2m",
        ),
        alert(
            "SpokeprobeUnsent", last("unsent"), "2m", "critical", "spoke",
            "{{ $labels.spoke }} is not probed: {{ $labels.reason }}",
            PROBES + " (account {{ $labels.account }}) not sent, for want of a session: {{ $labels.reason }}.",
            runbook=reason, keep="2m", labels={"cause": "session"},
        ),
        alert(
            "SpokeprobeStale",
            f"count by (spoke) (\n  time() - max by ({TARGET}) (spokeprobe_last_attempt_timestamp_seconds)\n"
            f"  > 3 * max by ({TARGET}) (spokeprobe_probe_interval_seconds) + 60\n)",
            "2m", "warning", "spoke",
            "Results of {{ $labels.spoke }} are old",
            PROBES + " without an attempt for three intervals: what is shown of that is not the present.",
        ),
        alert(
            "SpokeprobeReplicasDisagree",
            "count by (spoke) (spokeprobe:target_up:max > spokeprobe:target_up:min)", "10m", "warning", "spoke",
            "Agents differ about {{ $labels.spoke }}",
            PROBES + " as expected for one agent and not for another: look at the zone, subnet and endpoint address of the one that is not.",
        ),
        alert(
            "SpokeprobeSlow", f'spokeprobe:slo_errors:ratio_rate5m{{slo="latency"}} > {1 - FAST_SHARE_FLOOR:g}\n'
            f'  and on (spoke) spokeprobe:slo_errors:ratio_rate5m{{slo="availability"}} < {1 - FAST_SHARE_FLOOR:g}',
            "2m", "warning", "spoke",
            "{{ $labels.spoke }} is slow",
            f"{{{{ $value | humanizePercentage }}}} of the answers of {{{{ $labels.spoke }}}} took longer than {FAST_SECONDS} s over the last five minutes.",
        ),
        alert(
            "SpokeprobeHeadersNearLimit", "max by (spoke) (spokeprobe_signed_header_bytes) > 7500", "10m", "warning", "spoke",
            "Requests to {{ $labels.spoke }} are near the limit for headers",
            "{{ $value }} bytes of header values; a private API takes 8,000. Session tags and a session policy make the token long.",
        ),
    ]
    out.append("\n  - name: spokeprobe.security\n    rules:\n")
    out += [
        alert(
            "SpokeprobeDoorOpen",
            "max by (spoke, api, probe) (spokeprobe_door_open) == 1", "0m", "critical", "security",
            "{{ $labels.spoke }}/{{ $labels.api }} lets in who must be refused",
            "Guard {{ $labels.probe }} was let in: a call that must be refused was answered.",
            keep="5m",
        ),
        alert(
            "SpokeprobeIsolationBroken", "max by (from, spoke, api) (spokeprobe_isolation_open) == 1", "0m", "critical", "security",
            "The role of {{ $labels.from }} is let in at {{ $labels.spoke }}/{{ $labels.api }}",
            "A spoke's role can call an api of another spoke.",
            keep="5m",
        ),
    ]
    out.append("\n  - name: spokeprobe.slo-alerts\n    rules:\n")
    for severity in ["critical", "warning"]:
        burns = [burn for burn in BURN_RATES if burn[0] == severity]
        parts = []
        for _, factor, long, short in burns:
            parts.append(
                f"(\n  spokeprobe:slo_errors:ratio_rate{long} > on (slo) group_left () {factor:g} * (1 - spokeprobe:slo_objective:ratio)\n"
                f"  and\n  spokeprobe:slo_errors:ratio_rate{short} > on (slo) group_left () {factor:g} * (1 - spokeprobe:slo_objective:ratio)\n)"
            )
        out.append(
            alert(
                "SpokeprobeErrorBudgetBurn" + ("Fast" if severity == "critical" else "Slow"),
                "\nor\n".join(parts), "2m" if severity == "critical" else "15m", severity, "spoke",
                "{{ $labels.spoke }} spends its error budget of {{ $labels.slo }} "
                + ("within hours or days" if severity == "critical" else "faster than it earns it"),
                "{{ $value | humanizePercentage }} of the attempts were bad over the longer window.",
                runbook="docs/runbooks/SpokeprobeErrorBudgetBurn.md",
            )
        )
    out.append("\n  - name: spokeprobe.load\n    rules:\n")
    out.append(
        alert(
            "SpokeprobeLoadStopped", "sum by (load, guard) (increase(spokeprobe_load_stopped_total[15m])) > 0", "0m", "info", "load",
            "Load run {{ $labels.load }} was stopped by {{ $labels.guard }}",
            "The guard {{ $labels.guard }} ended the run before its plan did; its report says what was measured.",
        )
    )
    return "".join(out)


FILES = {
    "spokeprobe.recording.yml": lambda: recording("classic"),
    "spokeprobe.recording.native.yml": lambda: recording("native"),
    "spokeprobe.alerts.yml": alerts,
}


def main() -> int:
    """Writes or compares."""
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, make in FILES.items():
        path = HERE / name
        text = make()
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        if not check:
            path.write_text(text)
    for name in stale:
        print(f"{name} is not what render.py writes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
