"""Terraform itself, checkov, parliament and an independent IAM simulator judge deploy/terraform. Nothing is applied to an account.

The provider comes from the registry, or from the file system mirror that SPOKEPROBE_TERRAFORM_PROVIDER_MIRROR names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import DEPLOY, EXAMPLES, MODULES, Terraform, linter, prepared, run, values
from test_iam_differential import node_modules, plain  # noqa: F401 (the first is a fixture)

pytestmark = pytest.mark.timeout(600)
HERE = Path(__file__).parent
TERRAFORM = DEPLOY / "terraform"


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of deploy/."""
    return prepared(tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="module")
def tested(terraform: Terraform) -> Callable[[str], str]:
    """What `terraform test -json -verbose` of a module shows; each module is tested once."""
    seen: dict[str, str] = {}

    def look(module: str) -> str:
        if module not in seen:
            terraform.init(module)
            found = terraform(module, "test", "-json", "-verbose")
            messages = [json.loads(line).get("@message", "") for line in found.stdout.splitlines()]
            assert found.returncode == 0, "\n".join(messages[-30:]) + found.stderr
            seen[module] = found.stdout
        return seen[module]

    return look


@pytest.fixture
def seeded(terraform: Terraform) -> Any:
    """Puts an error into a file of the copy, and takes it out at the end of the test."""
    before: dict[Path, str] = {}

    def put(path: str, old: str, new: str) -> None:
        file = terraform.deploy / "terraform" / path
        text = file.read_text()
        assert old in text, f"{path} has no {old}"
        before.setdefault(file, text)
        file.write_text(text.replace(old, new, 1))

    yield put
    for file, text in before.items():
        file.write_text(text)


def test_format(terraform: Terraform, seeded: Callable[[str, str, str], None]) -> None:
    """terraform fmt -check finds nothing; a line out of place is found."""
    folder = terraform.deploy / "terraform"
    found = run(terraform.program, "fmt", "-check", "-diff", "-recursive", folder)
    assert found.returncode == 0, found.stdout
    seeded("hub/main.tf", "  port = 10403", "  port   = 10403")
    assert run(terraform.program, "fmt", "-check", "-recursive", folder).returncode != 0


@pytest.mark.parametrize("module", MODULES + EXAMPLES)
def test_valid(terraform: Terraform, module: str) -> None:
    """terraform validate finds nothing in a module or an example."""
    terraform.init(module)
    found = terraform(module, "validate", "-no-color")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "warning" not in found.stdout.lower(), found.stdout


def test_a_misspelt_argument_is_noticed(terraform: Terraform, seeded: Callable[[str, str, str], None]) -> None:
    """Seeded error: an argument that no resource has fails terraform validate."""
    terraform.init("spoke")
    seeded("spoke/main.tf", "max_session_duration = 3600", "max_session_length = 3600")
    assert terraform("spoke", "validate", "-no-color").returncode != 0


@pytest.mark.parametrize("module", MODULES)
def test_what_would_be_made(tested: Callable[[str], str], module: str) -> None:
    """terraform test with a mocked provider: every run passes, those that must refuse bad input among them."""
    summary = [event["test_summary"] for line in tested(module).splitlines() if (event := json.loads(line)).get("type") == "test_summary"][0]
    assert summary["status"] == "pass" and summary["passed"] >= 4, summary
    print(f"{summary['passed']} runs")


@pytest.mark.parametrize(
    ("module", "path", "old", "new"),
    [
        ("hub", "hub/service.tf", "deployment_maximum_percent         = var.agents == 1 ? 100 : min(200, ceil(800 / var.agents))", "deployment_maximum_percent         = 200"),
        ("spoke", "spoke/main.tf", 'StringEquals = { "sts:ExternalId" = var.external_id }', ""),
        ("testbed", "testbed/network.tf", 'Condition = { ArnEquals = { "aws:PrincipalArn" = module.spoke.role_arn } }', ""),
    ],
)
def test_a_wrong_value_is_noticed(terraform: Terraform, seeded: Callable[[str, str, str], None], module: str, path: str, old: str, new: str) -> None:
    """Seeded errors: two tasks at once, a trust without external id, an endpoint policy without a role fail terraform test."""
    terraform.init(module)
    seeded(path, old, new)
    found = terraform(module, "test", "-no-color")
    assert found.returncode != 0, found.stdout
    assert "fail" in found.stdout


def policies(shown: str) -> dict[str, str]:
    """Every policy in what would be made, by run and address."""
    found = {}
    for test_run, address, made in values(shown):
        for key in ("policy", "assume_role_policy"):
            text = made.get(key)
            if isinstance(text, str) and text.startswith("{"):
                found[f"{test_run}: {address} {key}"] = text
    return found


def judged(policy: str) -> subprocess.CompletedProcess[str]:
    """parliament's opinion. It judges policies of identities only."""
    return run(linter("parliament"), "--json", "--string", policy, seconds=120)


@pytest.mark.parametrize("module", MODULES)
def test_policies_of_roles_name_real_actions(tested: Callable[[str], str], module: str) -> None:
    """parliament finds no unknown action, no action without its resource and no malformed statement in any role's policy."""
    unlike = {}
    for name, policy in policies(tested(module)).items():
        if re.search(r"aws_iam_(role_policy|policy)\.", name) and '"Statement":[]' not in policy:
            # Hundreds of roles differ in nothing but their number.
            unlike.setdefault(re.sub(r"\d{12}|role/[^\"]+", "#", policy)[:400], (name, policy))
    assert unlike
    for name, policy in unlike.values():
        found = judged(policy)
        assert found.returncode == 0, f"{name}: {found.stdout}{found.stderr}\n{policy}"
    print(f"{len(unlike)} policies")


def test_an_unknown_action_is_noticed() -> None:
    """Seeded error: parliament finds an action that is misspelt."""
    assert judged('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invok","Resource":"*"}]}').returncode != 0


def test_no_policy_grants_everything(tested: Callable[[str], str]) -> None:
    """No statement allows all actions; `Resource: *` stands only where an action knows none, or beside a condition."""
    count = 0
    for module in MODULES:
        for name, policy in policies(tested(module)).items():
            for statement in json.loads(policy)["Statement"]:
                if statement["Effect"] != "Allow":
                    continue
                count += 1
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not any("*" in action for action in actions), f"{name}: {policy}"
                if statement.get("Resource") == "*":
                    assert actions == ["ecr:GetAuthorizationToken"] or statement.get("Condition"), f"{name}: {policy}"
                if statement.get("Principal") == {"AWS": "*"}:
                    assert statement.get("Condition"), f"{name}: {policy}"
    assert count > 20
    print(f"{count} statements")


def access(number: int, role: str | None, request: str, endpoint: dict, identity: dict, far: dict, organization: str = "o-a1b2c3d4e5") -> dict[str, Any]:
    """One request in the terms of iam/evaluate.js; without a role it is unsigned."""
    account = role.split(":")[4] if role else ""
    network = {"aws:SourceVpce": ["vpce-0123456789abcdef0"], "aws:SecureTransport": ["true"]}
    session = f"arn:aws:sts::{account}:assumed-role/{role.rsplit('/', 1)[1]}/spokeprobe" if role else ""
    principal = {"aws:PrincipalArn": [role], "aws:PrincipalAccount": [account], "aws:PrincipalOrgID": [organization]} if role else {}
    return {
        "id": number,
        "kind": "iam" if role else "open",
        "signed": bool(role),
        "session_arn": session,
        "role": role or "",
        "caller_account": account,
        "action": "execute-api:Invoke",
        "resource": f"arn:aws:execute-api:eu-west-1:012345678901:{request}",
        "resource_account": "012345678901",
        "keys": {**network, **principal},
        "network_keys": network,
        "identity": [identity],
        "session": None,
        "boundary": None,
        "service_control": [],
        "endpoint": endpoint,
        "far": far,
    }


def test_who_passes_the_testbeds_endpoint(tested: Callable[[str], str], node_modules: Path) -> None:  # noqa: F811
    """An independent IAM simulator: either article's endpoint policy lets in whom it should, and refuses each neighbour."""
    found = policies(tested("testbed"))

    def policy(test_run: str, address: str) -> dict:
        text = next(text for name, text in found.items() if name.startswith(f"{test_run}: ") and address in name)
        # To the foreign simulator a resource needs a path: `GET /`, written GET/, gets one here and in the requests.
        return json.loads(text.replace('/GET/"', '/GET/root"'))

    probe = "arn:aws:iam::012345678901:role/spokeprobe-testbed-spoke"
    other = "arn:aws:iam::012345678901:role/other"
    asked: list[tuple[str, dict[str, Any], bool, bool]] = []
    for article, least in (("the_first_article", False), ("the_second_article", True)):
        endpoint = policy(article, "aws_vpc_endpoint_policy.execute_api")
        identity = policy(article, "aws_iam_role_policy.invoke")
        far = policy(article, "aws_api_gateway_rest_api_policy.hoot")
        # who, request, passes the endpoint, passes all
        for who, request, passes, allowed in [
            (probe, "a1b2c3d4e5/api/GET/root", True, True),
            (probe, "a1b2c3d4e5/api/POST/greet", True, True),
            (probe, "a1b2c3d4e5/api/DELETE/greet", not least, True),
            (probe, "a1b2c3d4e5/other/GET/root", not least, True),
            (probe, "f9f9f9f9f9/api/GET/root", not least, False),
            (other, "a1b2c3d4e5/api/GET/root", not least, True),
            (None, "a1b2c3d4e5/api/GET/root", False, True),
        ]:
            case = access(len(asked), who, request, endpoint, identity, far)
            asked.append((f"{article}: {who} {request}", case, passes, allowed))
    foreign = access(len(asked), probe, "a1b2c3d4e5/api/GET/root", policy("the_first_article", "aws_vpc_endpoint_policy.execute_api"), identity, far, "o-zzzzzzzzzz")
    asked.append(("another organisation", foreign, False, True))
    # Seeded error: a policy that lost its condition lets the neighbour in, and that is seen.
    wide = policy("the_second_article", "aws_vpc_endpoint_policy.execute_api")
    del wide["Statement"][0]["Condition"]
    asked.append(("seeded", access(len(asked), other, "a1b2c3d4e5/api/GET/root", wide, identity, far), True, True))

    answered = subprocess.run(
        ["node", HERE / "iam" / "evaluate.js"],
        input="\n".join(json.dumps(case) for _, case, _, _ in asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    )
    assert answered.returncode == 0, answered.stderr
    answers = {answer["id"]: answer["plain"] for answer in map(json.loads, answered.stdout.splitlines())}
    for what, case, passes, allowed in asked:
        answer = answers[case["id"]]
        # The endpoint alone: a statement about the whole account counts there like any other.
        assert (plain(answer["endpoint"]["layers"]["far"]) == "Allowed") == passes, f"{what}: {answer['endpoint']}"
        # Beyond the endpoint the api's policy lets in whoever comes through it.
        assert (answer["beyond"]["result"] == "Allowed") == allowed, f"{what}: {answer['beyond']}"
    print(f"{len(asked)} requests")


def test_checkov(tmp_path: Path) -> None:
    """checkov finds nothing but what is left out by name and reason; a bucket open to the public is found."""
    checkov = linter("checkov")
    options = ["--quiet", "--compact", "--framework", "terraform", "--skip-download", "-d"]
    found = run(checkov, *options, TERRAFORM)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Failed checks: 0" in found.stdout
    print(found.stdout.strip().splitlines()[-1] if found.stdout.strip() else "")
    (tmp_path / "main.tf").write_text('resource "aws_s3_bucket" "open" {\n  bucket = "open"\n  acl    = "public-read"\n}\n')
    assert run(checkov, *options, tmp_path).returncode != 0


def test_what_is_left_out_of_checkov_has_a_reason() -> None:
    """Each checkov:skip says why."""
    for file in TERRAFORM.rglob("*.tf"):
        for line in file.read_text().splitlines():
            if "checkov:skip" in line:
                assert re.search(r"checkov:skip=CKV2?_AWS_\d+:\S.{10,}", line), f"{file.name}: {line}"


def test_instances_have_no_key() -> None:
    """No instance has an SSH key or lets anyone in by port 22, and each wants version 2 of the metadata service."""
    for folder in ("hub", "testbed"):
        text = "\n".join(file.read_text() for file in (TERRAFORM / folder).glob("*.tf"))
        assert "key_name" not in text and not re.search(r"_port\s*=\s*22\b", text)
        assert text.count("metadata_options {") == text.count('= "required"') == 1


def test_user_data_is_a_sound_script(tool: Callable[[str], Path], tested: Callable[[str], str], tmp_path: Path) -> None:
    """shellcheck finds nothing in the user data that an instance would get; an unquoted variable is found. Its unit is that of the packages."""
    import base64

    made = [what for test_run, address, what in values(tested("hub")) if test_run == "an_instance_in_place_of_a_task" and "aws_launch_template" in address]
    script = tmp_path / "user-data.sh"
    script.write_bytes(base64.b64decode(made[0]["user_data"]))
    assert (DEPLOY / "systemd" / "spokeprobe.service").read_text() in script.read_text(), "the instance has another unit than the packages"
    found = run(tool("shellcheck"), script)
    assert found.returncode == 0, found.stdout
    script.write_text(script.read_text() + "rm $1\n")
    assert run(tool("shellcheck"), script).returncode != 0


def test_the_managed_alert_manager_takes_the_definition(tool: Callable[[str], Path], tested: Callable[[str], str], tmp_path: Path) -> None:
    """amtool accepts what is inside the alert manager definition; a receiver that is not there is refused."""
    made = [what for test_run, address, what in values(tested("hub")) if test_run == "prometheus_with_collector_and_topic" and "alert_manager_definition" in address]
    inner = yaml.safe_load(made[0]["definition"])["alertmanager_config"]
    file = tmp_path / "alertmanager.yml"
    file.write_text(inner)
    found = run(tool("amtool"), "check-config", file)
    assert found.returncode == 0, found.stdout + found.stderr
    file.write_text(inner.replace('"name": "topic"', '"name": "topik"'))
    assert run(tool("amtool"), "check-config", file).returncode != 0


def test_the_testbeds_configuration_is_read_by_the_program(binary: Path, tested: Callable[[str], str], tmp_path: Path) -> None:
    """`spokeprobe plan` takes the configuration that the testbed prints; a wrong key in it is refused."""
    states = [json.loads(line) for line in tested("testbed").splitlines()]
    outputs = next(event["test_state"]["outputs"] for event in states if event.get("test_state") and event["@testrun"] == "the_first_article")
    # The subject is the form, so the names of the mocked provider are as good as any.
    config = tmp_path / "config.yaml"
    config.write_text(outputs["config_yaml"]["value"])
    found = run(binary, "plan", "--config", config)
    assert found.returncode == 0, found.stdout + found.stderr
    config.write_text(config.read_text().replace('"external_id"', '"external_idd"'))
    assert run(binary, "plan", "--config", config).returncode == 2


def test_the_function_is_what_its_source_says() -> None:
    """hoot.zip holds hoot.py; it greets as the article's function does: the world, whoever is named, else the stranger."""
    folder = TERRAFORM / "testbed" / "lambda"
    found = run(sys.executable, folder / "pack.py", "--check")
    assert found.returncode == 0, found.stderr
    spec = importlib.util.spec_from_file_location("hoot", folder / "hoot.py")
    assert spec and spec.loader
    hoot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hoot)
    post = {"httpMethod": "POST"}
    for event, name in [
        ({"httpMethod": "GET"}, "world"),
        ({**post, "body": '{"name": "buddy"}'}, "buddy"),
        ({**post, "body": "eyJuYW1lIjogImJ1ZGR5In0=", "isBase64Encoded": True}, "buddy"),
        ({**post, "body": None}, "stranger"),
        ({**post, "body": "{broken"}, "stranger"),
        ({**post, "body": "[1]"}, "stranger"),
        ({**post, "body": '{"name": ""}'}, "stranger"),
        ({**post, "body": "!", "isBase64Encoded": True}, "stranger"),
    ]:
        assert json.loads(hoot.handler(event, None)["body"]) == {"hello": name}, event
