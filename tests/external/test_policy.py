"""The printed policies against an independent IAM simulator: who passes, and above all who does not.

`spokeprobe policy` prints the policies of tests/fixtures/policies.yaml; tests/external/iam/evaluate.js asks
@cloud-copilot/iam-simulate about every caller at every method. What must pass is written down here a second time, by
hand, so that the program is not asked what it thinks itself.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_iam_differential import HERE, ROOT, lines, node_modules, plain, run

__all__ = ["node_modules"]

CONFIG = ROOT / "tests" / "fixtures" / "policies.yaml"
ENDPOINT = "vpce-0123456789abcdef0"
ORGANIZATION = "o-a1b2c3d4e5"
HUB = "arn:aws:iam::111122223333:role/spokeprobe-hub"
PAYMENTS = "arn:aws:iam::012345678901:role/spokeprobe"
ORDERS = "arn:aws:iam::222233334444:role/platform/spokeprobe"
LEDGER = "arn:aws:iam::333344445555:role/spokeprobe"
# A role of the same name elsewhere in the organisation, another role of a spoke's account, and a namesake outside.
NEIGHBOUR = "arn:aws:iam::444455556666:role/spokeprobe"
SIBLING = "arn:aws:iam::012345678901:role/application"
STRANGER = "arn:aws:iam::999988887777:role/spokeprobe"
ANYONE = None
CALLERS = [HUB, PAYMENTS, ORDERS, LEDGER, NEIGHBOUR, SIBLING, STRANGER, ANYONE]

HOOT = "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api"
STORE = "arn:aws:execute-api:eu-west-1:222233334444:b2c3d4e5f6/live"
BOOK = "arn:aws:execute-api:eu-west-1:333344445555:c3d4e5f6a7/api"
OTHER_API = "arn:aws:execute-api:eu-west-1:012345678901:z9y8x7w6v5/api"

# Every probe that expects to be let in.
PROBES = {
    (PAYMENTS, f"{HOOT}/GET/"),
    (PAYMENTS, f"{HOOT}/POST/greet"),
    (PAYMENTS, f"{HOOT}/GET/files/*/x"),
    (ORDERS, f"{STORE}/GET/items"),
    (PAYMENTS, f"{STORE}/GET/items"),
    (HUB, f"{STORE}/GET/items"),
    (LEDGER, f"{BOOK}/GET/"),
    (ANYONE, f"{BOOK}/GET/public"),
}
# The method without authorization asks nobody who they are: whom the endpoint lets in there, it lets in.
PUBLIC = f"{BOOK}/GET/public"
PASSING = PROBES | {(caller, PUBLIC) for caller in CALLERS}
METHODS = sorted({method for _, method in PROBES}) + [
    f"{HOOT}/DELETE/",
    f"{HOOT}/GET/greet",
    f"{HOOT}/GET/files/secret/x",
    f"{HOOT.removesuffix('api')}prod/GET/",
    f"{STORE}/GET/items/7",
    f"{STORE}/POST/items",
    f"{BOOK}/GET/private",
    f"{OTHER_API}/GET/",
]
FAR = {HOOT: "payments/hoot", STORE: "orders/store", BOOK: "ledger/book"}
ROLES = {PAYMENTS: "payments", ORDERS: "orders", LEDGER: "ledger"}
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "All", "Effect": "Allow", "Action": ["execute-api:*", "sts:*"], "Resource": "*"}],
}

Case = dict[str, Any]
Documents = dict[str, dict[str, Any]]


def printed(binary: Path, *arguments: str) -> dict[str, Any]:
    command = [binary, "policy", *arguments, "--json", "--config", CONFIG]
    done = subprocess.run(command, text=True, capture_output=True, timeout=30, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def documents(binary: Path) -> Documents:
    """All policies of the configuration, by kind and then by key."""
    kinds = ("vpc-endpoint", "trust", "permissions", "resource", "hub")
    return {kind: printed(binary, kind) for kind in kinds}


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def keys_of(caller: str | None, endpoint: str = ENDPOINT) -> dict[str, list[str]]:
    """The condition keys that AWS fills in for a call through the endpoint."""
    keys = {"aws:SourceVpce": [endpoint]}
    if caller is None:
        return {**keys, "aws:PrincipalAccount": ["anonymous"]}
    keys |= {"aws:PrincipalArn": [caller], "aws:PrincipalAccount": [account_of(caller)]}
    if caller != STRANGER:
        keys["aws:PrincipalOrgID"] = [ORGANIZATION]
    return keys


def case_of(caller: str | None, resource: str, **more: Any) -> Case:
    """A case of evaluate.js without any policy yet."""
    name = (caller or PAYMENTS).rsplit("/", 1)[1]
    account = account_of(caller or PAYMENTS)
    return {
        "kind": "iam" if caller and resource != PUBLIC else "open",
        "signed": caller is not None,
        "caller_account": account,
        "role": caller,
        "session_arn": f"arn:aws:sts::{account}:assumed-role/{name}/spokeprobe",
        "action": "execute-api:Invoke",
        "resource": resource,
        "resource_account": account_of(resource),
        "network_keys": {"aws:SourceVpce": [ENDPOINT]},
        "keys": keys_of(caller),
        "identity": [],
        "boundary": None,
        "session": None,
        "service_control": [],
        "far": None,
        "endpoint": None,
        **more,
    }


def own_policies(documents: Documents, caller: str | None) -> list[Any]:
    if caller == HUB:
        return [documents["hub"]["hub"]]
    if caller in ROLES:
        return [documents["permissions"][ROLES[caller]]]
    # Others have whatever their owners gave them; the worst is everything.
    return [EVERYTHING] if caller else []


def calls(documents: Documents, generous: bool = False) -> Iterator[tuple[str | None, str, Case]]:
    """Every caller at every method, with all policies in place. Generous: each role may call everything."""
    for caller in CALLERS:
        for method in METHODS:
            api = method.split("/")[0] + "/"
            far = next((key for prefix, key in FAR.items() if prefix.startswith(api)), None)
            case = case_of(
                caller,
                method,
                identity=[EVERYTHING] if generous and caller else own_policies(documents, caller),
                far=documents["resource"][far] if far else None,
                endpoint=documents["vpc-endpoint"]["vpc-endpoint"],
            )
            yield caller, method, case


def decide(cases: list[Case], modules: Path) -> list[dict[str, Any]]:
    # A star in what is asked for means any resource to the foreign simulator; so the star of the one probe, and where a
    # policy means it literally, is a word. A policy's own star stays one.
    texts = (json.dumps({**case, "id": at, "resource": case["resource"].replace("*", "star")}) for at, case in enumerate(cases))
    asked = "\n".join(text.replace("${*}", "star") for text in texts)
    # The foreign simulator knows no method at the root of a stage, whose path is empty: it gets a name.
    asked = re.sub(r'(/(?:GET|POST|DELETE)/)(?=")', r"\1root", asked)
    environment = {**os.environ, "NODE_PATH": str(modules)}
    answers = lines(run(["node", HERE / "evaluate.js"], input=asked, env=environment).stdout)
    return [answer["plain"] for answer in sorted(answers, key=lambda answer: answer["id"])]


def is_in(answer: dict[str, Any], where: str) -> bool:
    """Whether a call gets through the endpoint, or passes everything beyond it."""
    # The endpoint's policy is asked about in the place of a resource policy, so that layer alone is its word.
    result = answer["endpoint"]["layers"]["far"] if where == "endpoint" else answer["beyond"]["result"]
    return plain(result) == "Allowed"


def passing(found: list[tuple[str | None, str, Case]], modules: Path) -> set[tuple[str | None, str]]:
    """Who passes the endpoint and everything beyond it."""
    answers = decide([case for _, _, case in found], modules)
    both = zip(found, answers, strict=True)
    return {(who, what) for (who, what, _), answer in both if is_in(answer, "endpoint") and is_in(answer, "beyond")}


def test_every_probe_passes_and_no_neighbour_does(documents: Documents, node_modules: Path) -> None:
    """Of all callers at all methods exactly the probes pass, also if each role might call whatever it likes."""
    cases = list(calls(documents))
    assert passing(cases, node_modules) == PASSING
    allowed = passing(list(calls(documents, generous=True)), node_modules)
    assert allowed == PASSING
    print(f"policies: {len(cases)} calls by {len(CALLERS)} callers, {len(PROBES)} let in, with own rights and with all")


def test_the_endpoint_alone_keeps_spokes_apart(documents: Documents, node_modules: Path) -> None:
    """What the endpoint's policy lets in is no more than the probes: the second line is not needed."""
    found = list(calls(documents))
    answers = decide([case for _, _, case in found], node_modules)
    let_in = {(who, what) for (who, what, _), answer in zip(found, answers, strict=True) if is_in(answer, "endpoint")}
    assert let_in == PASSING


def test_another_endpoint_does_not_lead_in(documents: Documents, node_modules: Path) -> None:
    """Through somebody else's endpoint, which lets everything in, the apis refuse every caller of another account."""
    cases = []
    for caller, method, case in calls(documents, generous=True):
        other = {"keys": keys_of(caller, "vpce-0eeeeeeeeeeeeeeee"), "network_keys": {"aws:SourceVpce": ["vpce-0eeeeeeeeeeeeeeee"]}}
        everyone = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
        # A role's own rights suffice within its account: IAM authorization needs the identity or the resource policy.
        if caller is None or account_of(caller) != account_of(method):
            cases.append((caller, method, {**case, **other, "endpoint": everyone}))
    assert passing(cases, node_modules) == set()


def test_the_pattern_form_lets_every_probe_in_and_nobody_from_outside(binary: Path, documents: Documents, node_modules: Path) -> None:
    """By pattern the endpoint still refuses other names, other requests and other organisations; the apis do the rest."""
    pattern = {**documents, "vpc-endpoint": printed(binary, "vpc-endpoint", "--pattern")}
    found = list(calls(pattern))
    assert passing(found, node_modules) == PASSING
    answers = decide([case for _, _, case in found], node_modules)
    for (caller, method, _), answer in zip(found, answers, strict=True):
        if caller in (STRANGER, SIBLING, ANYONE) and method != PUBLIC:
            assert not is_in(answer, "endpoint"), (caller, method)
        if method in (f"{HOOT}/DELETE/", f"{STORE}/POST/items", f"{BOOK}/GET/private"):
            assert not is_in(answer, "endpoint"), (caller, method)
        # What the pattern gives up: a namesake in the organisation gets through to the apis.
        if caller == NEIGHBOUR and method == f"{HOOT}/GET/":
            assert is_in(answer, "endpoint") and not is_in(answer, "beyond")


def assume(documents: Documents, caller: str, role: str, external_id: str | None, action: str = "sts:AssumeRole", **keys: Any) -> Case:
    context = {key: value for key, value in keys_of(caller).items() if key != "aws:SourceVpce"}
    if external_id and action == "sts:AssumeRole":
        # sts:TagSession has no such key.
        context["sts:ExternalId"] = [external_id]
    own = [documents["hub"]["hub"]] if caller == HUB else [EVERYTHING]
    name = ROLES.get(role)
    trust = documents["trust"][name] if name else None
    return case_of(caller, role, kind="assume", action=action, keys={**context, **keys}, identity=own, far=trust)


def trusted(documents: Documents, modules: Path) -> list[bool]:
    tags = {"aws:TagKeys": ["purpose"]}
    asked = [
        (HUB, PAYMENTS, "spokeprobe-payments"),
        (HUB, ORDERS, "spokeprobe-orders"),
        (HUB, LEDGER, None),
        (HUB, PAYMENTS, "spokeprobe-payments", "sts:TagSession", tags),
        # From here on: refused.
        (HUB, PAYMENTS, None),
        (HUB, PAYMENTS, "spokeprobe-orders"),
        ("arn:aws:iam::111122223333:role/other", PAYMENTS, "spokeprobe-payments"),
        ("arn:aws:iam::999988887777:role/spokeprobe-hub", PAYMENTS, "spokeprobe-payments"),
        (ORDERS, LEDGER, None),
        (HUB, NEIGHBOUR, None),
        (HUB, PAYMENTS, "spokeprobe-payments", "sts:TagSession", {"aws:TagKeys": ["purpose", "admin"]}),
        (HUB, ORDERS, "spokeprobe-orders", "sts:TagSession", tags),
    ]
    cases = []
    for caller, role, external_id, *more in asked:
        action, keys = more or ("sts:AssumeRole", {})
        cases.append(assume(documents, caller, role, external_id, action, **keys))
    return [is_in(answer, "beyond") for answer in decide(cases, modules)]


def test_only_the_hub_assumes_only_the_roles_in_use(documents: Documents, node_modules: Path) -> None:
    """AssumeRole and TagSession pass for the hub's role with the right external id and tags, and for nothing else."""
    assert trusted(documents, node_modules) == [True] * 4 + [False] * 8


def stored(document: Any, unique_ids: dict[str, str]) -> Any:
    """A policy as AWS keeps it: principals that name a role become the role's unique id."""
    kept = copy.deepcopy(document)
    for statement in kept["Statement"]:
        principal = statement.get("Principal")
        if isinstance(principal, dict) and principal.get("AWS") in unique_ids:
            principal["AWS"] = unique_ids[principal["AWS"]]
    return kept


def test_a_role_that_was_made_again_is_still_let_in(binary: Path, documents: Documents, node_modules: Path) -> None:
    """After role and hub role are deleted and made again all probes pass; by role ARN, as it warns, they do not."""
    before = {role: f"AROA{at:017}" for at, role in enumerate([HUB, PAYMENTS, ORDERS, LEDGER])}

    def after(kinds: Documents) -> Documents:
        kept = {kind: {key: stored(each, before) for key, each in kinds[kind].items()} for kind in ("trust", "resource")}
        return {**kinds, **kept}

    assert passing(list(calls(after(documents))), node_modules) == PASSING
    assert trusted(after(documents), node_modules)[:4] == [True] * 4

    by_arn = {kind: printed(binary, kind, "--principal", "role-arn") for kind in ("trust", "resource")}
    by_arn = {**documents, **by_arn}
    assert passing(list(calls(by_arn)), node_modules) == PASSING
    assert trusted(by_arn, node_modules) == [True] * 4 + [False] * 8
    assert trusted(after(by_arn), node_modules)[:4] == [False] * 4
    lost = PASSING - passing(list(calls(after(by_arn))), node_modules)
    assert {(PAYMENTS, f"{STORE}/GET/items"), (HUB, f"{STORE}/GET/items")} <= lost


def test_with_isolation_a_role_reaches_the_doors_that_must_refuse_it(binary: Path, documents: Documents, node_modules: Path) -> None:
    """The orders role may then call payments by its own rights, and the endpoint and the api still refuse it."""
    granted = {**documents, "permissions": printed(binary, "permissions", "--isolation")}
    case = next(case for caller, method, case in calls(granted) if (caller, method) == (ORDERS, f"{HOOT}/GET/"))
    answer = decide([case], node_modules)[0]
    assert plain(answer["beyond"]["layers"]["identity"]) == "Allowed"
    assert not is_in(answer, "endpoint") and not is_in(answer, "beyond")
    assert passing(list(calls(granted)), node_modules) == PASSING


def widened(document: dict[str, Any], sid: str, change: str) -> dict[str, Any]:
    wrong = copy.deepcopy(document)
    statement = next(each for each in wrong["Statement"] if each["Sid"] == sid)
    match change:
        case "resource":
            statement["Resource"] = "*"
        case "condition":
            del statement["Condition"]
        case "gone":
            wrong["Statement"].remove(statement)
    return wrong


@pytest.mark.parametrize(
    ("kind", "key", "sid", "change"),
    [
        ("vpc-endpoint", "vpc-endpoint", "SpokeprobeRolePayments", "resource"),
        ("vpc-endpoint", "vpc-endpoint", "SpokeprobeRoleOrders", "gone"),
        ("resource", "orders/store", "SpokeprobeRolePayments", "gone"),
        ("permissions", "payments", "SpokeprobeInvoke", "gone"),
        ("hub", "hub", "SpokeprobeInvoke", "gone"),
    ],
)
def test_a_wrong_policy_is_noticed(kind: str, key: str, sid: str, change: str, documents: Documents, node_modules: Path) -> None:
    """A statement that allows more, or is not there, changes who passes somewhere."""
    wrong = {**documents, kind: {**documents[kind], key: widened(documents[kind][key], sid, change)}}
    found = list(calls(wrong))
    answers = decide([case for _, _, case in found], node_modules)
    if change == "resource":
        # The endpoint's mistake is what the endpoint lets in; the apis behind it may still refuse.
        let_in = {(who, what) for (who, what, _), answer in zip(found, answers, strict=True) if is_in(answer, "endpoint")}
        assert (PAYMENTS, f"{HOOT}/DELETE/") in let_in
    else:
        assert passing(found, node_modules) < PASSING


def test_a_trust_without_its_external_id_is_noticed(documents: Documents, node_modules: Path) -> None:
    """Without its conditions the trust policy lets in others of the hub's account, which the table catches."""
    wrong = {**documents["trust"], "payments": widened(documents["trust"]["payments"], "SpokeprobeTrust", "condition")}
    assert trusted({**documents, "trust": wrong}, node_modules) != [True] * 4 + [False] * 8
