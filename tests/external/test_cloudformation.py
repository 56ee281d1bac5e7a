"""cfn-lint and checkov judge deploy/cloudformation, and the templates keep to the same as the Terraform modules. Nothing is applied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from deployment import DEPLOY, linter, run

pytestmark = pytest.mark.timeout(600)
FOLDER = DEPLOY / "cloudformation"
TEMPLATES = ["hub.yaml", "spoke.yaml", "spoke-stackset.yaml"]


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, kept as {name: value}."""


def function(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", function)


def template(name: str) -> dict[str, Any]:
    return yaml.load((FOLDER / name).read_text(), Loader)


def test_templates_are_well_formed(tmp_path: Path) -> None:
    """cfn-lint finds nothing; a misspelt property and a policy without a valid effect are found."""
    cfn_lint = linter("cfn-lint")
    found = run(cfn_lint, *(FOLDER / name for name in TEMPLATES))
    assert found.returncode == 0, found.stdout + found.stderr
    text = (FOLDER / "spoke.yaml").read_text()
    for old, new in [("MaxSessionDuration:", "MaxSessionLength:"), ("Effect: Allow", "Effect: Alow")]:
        broken = tmp_path / "spoke.yaml"
        broken.write_text(text.replace(old, new, 1))
        assert run(cfn_lint, broken).returncode != 0, f"{old} -> {new}"


def test_checkov(tmp_path: Path) -> None:
    """checkov finds nothing but what is left out by name and reason; a bucket open to the public is found."""
    checkov = linter("checkov")
    options = ["--quiet", "--compact", "--framework", "cloudformation", "--skip-download", "-d"]
    found = run(checkov, *options, FOLDER)
    assert found.returncode == 0, found.stdout + found.stderr
    (tmp_path / "open.yaml").write_text("Resources:\n  Open:\n    Type: AWS::S3::Bucket\n    Properties: {AccessControl: PublicRead}\n")
    assert run(checkov, *options, tmp_path).returncode != 0


def test_one_task_hardened() -> None:
    """The service never runs two tasks; the container has no root, no capabilities, a health check and time to drain."""
    resources = template("hub.yaml")["Resources"]
    service = resources["Service"]["Properties"]
    assert service["DesiredCount"] == 1
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
    assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    (container,) = resources["Task"]["Properties"]["ContainerDefinitions"]
    assert container["User"] == "10403:10403" and container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert container["HealthCheck"]["Command"] == ["CMD", "spokeprobe", "healthcheck"] and container["StopTimeout"] >= 30


def test_nothing_of_the_endpoint_is_managed() -> None:
    """The hub's template makes no endpoint and no policy of one."""
    kinds = {resource["Type"] for resource in template("hub.yaml")["Resources"].values()}
    assert not [kind for kind in kinds if "VPCEndpoint" in kind]


def test_the_spokes_role_is_bound() -> None:
    """Only the hub role with the external id may assume; only the named requests may be called; the stack set does not go past it."""
    role = template("spoke.yaml")["Resources"]["Role"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": {"Ref": "HubRoleArn"}}, "StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}
    (invoke,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert invoke["Action"] == "execute-api:Invoke" and len(invoke["Resource"]) == 5


@pytest.mark.parametrize(
    ("request_", "taken"),
    [
        ("a1b2c3d4e5/api/GET/", True),
        ("*/api/GET/health", True),
        ("a1b2c3d4e5/api/POST/greet", True),
        ("*", False),
        ("a1b2c3d4e5/*", False),
        ("a1b2c3d4e5/*/GET/", False),
        ("a1b2c3d4e5/api/*/greet", False),
        ("A1b2c3d4e5/api/GET/", False),
        ("a1b2c3d4e5/api/GET/x?y=1", False),
    ],
)
def test_what_a_request_may_be(request_: str, taken: bool) -> None:
    """Stage and method are always named; both templates take the same."""
    for name in ("spoke.yaml", "spoke-stackset.yaml"):
        pattern = template(name)["Parameters"]["Request1"]["AllowedPattern"]
        assert bool(re.fullmatch(pattern, request_)) == taken, name


def test_the_stack_set_passes_parameters_that_exist() -> None:
    """The stack set gives the spoke's template only parameters it has, all that have no default, and follows the organisation."""
    properties = template("spoke-stackset.yaml")["Resources"]["Spokes"]["Properties"]
    given = {parameter["ParameterKey"] for parameter in properties["Parameters"]}
    wanted = template("spoke.yaml")["Parameters"]
    assert given <= set(wanted)
    assert {name for name, parameter in wanted.items() if "Default" not in parameter} <= given
    assert properties["PermissionModel"] == "SERVICE_MANAGED" and properties["AutoDeployment"]["Enabled"] is True
    assert properties["Capabilities"] == ["CAPABILITY_NAMED_IAM"]


def client(service: str, moto_url: str) -> Any:
    """A client of moto, which stands for AWS."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, region_name="eu-west-1", endpoint_url=f"http://{moto_url}", **keys)


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        ({"Request2": "a1b2c3d4e5/api/POST/greet"}, ["eu-west-1:ACCOUNT:a1b2c3d4e5/api/GET/", "eu-west-1:ACCOUNT:a1b2c3d4e5/api/POST/greet"]),
        ({"ApiRegion": "eu-central-1"}, ["eu-central-1:ACCOUNT:a1b2c3d4e5/api/GET/"]),
    ],
)
def test_the_spokes_stack_in_moto(moto_url: str, given: dict[str, str], resources: list[str]) -> None:
    """moto makes the stack: the role trusts the hub's account, role and external id, and calls the given requests and no others."""
    cloudformation, iam = client("cloudformation", moto_url), client("iam", moto_url)
    account = client("sts", moto_url).get_caller_identity()["Account"]
    parameters = {
        "HubRoleArn": "arn:aws:iam::111122223333:role/platform/spokeprobe-hub",
        "ExternalId": "spokeprobe-payments",
        "Request1": "a1b2c3d4e5/api/GET/",
        **given,
    }
    cloudformation.create_stack(
        StackName="spokeprobe",
        TemplateBody=(FOLDER / "spoke.yaml").read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    try:
        (stack,) = cloudformation.describe_stacks(StackName="spokeprobe")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert stack["Outputs"][0]["OutputValue"] == f"arn:aws:iam::{account}:role/spokeprobe"
        (trust,) = iam.get_role(RoleName="spokeprobe")["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
        assert trust["Condition"]["ArnEquals"] == {"aws:PrincipalArn": parameters["HubRoleArn"]}
        assert trust["Condition"]["StringEquals"] == {"sts:ExternalId": "spokeprobe-payments"}
        policy = iam.get_role_policy(RoleName="spokeprobe", PolicyName="spokeprobe-invoke")["PolicyDocument"]
        # moto hands it out as text, written as Python writes it.
        if isinstance(policy, str):
            policy = yaml.safe_load(policy)
        # CloudFormation takes an element out that is AWS::NoValue; moto leaves its None.
        found = [arn for arn in policy["Statement"][0]["Resource"] if arn not in (None, "None")]
        assert found == [f"arn:aws:execute-api:{arn.replace('ACCOUNT', account)}" for arn in resources]
    finally:
        cloudformation.delete_stack(StackName="spokeprobe")


@pytest.mark.parametrize(
    "configuration",
    [
        {"ConfigParameterArn": "arn:aws:ssm:eu-west-1:111122223333:parameter/spokeprobe/config"},
        {"ConfigParameterArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:spokeprobe-AbCdEf"},
        {"ConfigBucket": "configurations", "ConfigPrefix": "spokeprobe/"},
    ],
    ids=["parameter", "secret", "s3"],
)
def test_the_hubs_stack_in_moto(moto_url: str, configuration: dict[str, str]) -> None:
    """moto makes the hub's stack in its default VPC: every reference resolves, the agent's role assumes exactly the given roles,
    and who reads the configuration may read that alone."""
    cloudformation, iam, ec2 = (client(service, moto_url) for service in ("cloudformation", "iam", "ec2"))
    roles = ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::222233334444:role/spokeprobe"]
    before = iam.list_policies(Scope="Local")["Policies"]
    name = f"hub-{len(str(configuration))}"
    parameters = {
        "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "VpcCidr": "172.31.0.0/16",
        "SubnetIds": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "S3PrefixListId": "pl-6da54004",
        "Image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/spokeprobe:0.1.0",
        "RepositoryArn": "arn:aws:ecr:eu-west-1:111122223333:repository/spokeprobe",
        "SpokeRoleArns": ",".join(roles),
        # The log group outlives its stack.
        "Name": name,
        **configuration,
    }
    cloudformation.create_stack(
        StackName="hub",
        TemplateBody=(FOLDER / "hub.yaml").read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    try:
        (stack,) = cloudformation.describe_stacks(StackName="hub")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        assert outputs["AgentRoleArn"].endswith(f":role/{name}") and outputs["ServiceName"] == name
        (statement,) = inline(iam, name, "spokeprobe-assume")
        assert statement["Resource"] == roles
        task = client("ecs", moto_url).describe_task_definition(taskDefinition=name)["taskDefinition"]
        environment = {entry["name"]: entry["value"] for entry in task["containerDefinitions"][0]["environment"]}
        if "ConfigBucket" in configuration:
            reading, listing = managed(iam, before)
            assert (reading["Action"], reading["Resource"]) == ("s3:GetObject", "arn:aws:s3:::configurations/spokeprobe/*")
            assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::configurations")
            assert listing["Condition"] == {"StringLike": {"s3:prefix": "spokeprobe/*"}}
            assert environment["SPOKEPROBE_CONFIG"] == "s3://configurations/spokeprobe/config.yaml?region=eu-west-1"
        else:
            arn = configuration["ConfigParameterArn"]
            (reading,) = managed(iam, before)
            action = "ssm:GetParameters" if ":ssm:" in arn else "secretsmanager:GetSecretValue"
            assert (reading["Action"], reading["Resource"]) == (action, arn)
            assert environment["SPOKEPROBE_CONFIG"] == "env:SPOKEPROBE_YAML"
    finally:
        cloudformation.delete_stack(StackName="hub")


def inline(iam: Any, role: str, name: str) -> list[dict[str, Any]]:
    """The statements of a role's inline policy; moto hands it out as text, written as Python writes it."""
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    return (yaml.safe_load(policy) if isinstance(policy, str) else policy)["Statement"]


def managed(iam: Any, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements of the managed policies that the stack made; moto keeps those of stacks before."""
    known = {policy["Arn"] for policy in before}
    found = []
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        if policy["Arn"] in known:
            continue
        document = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]["Document"]
        found += (yaml.safe_load(document) if isinstance(document, str) else document)["Statement"]
    return found


def test_who_reads_the_configuration_has_the_policy_for_it() -> None:
    """The agent reads S3 itself, and ECS reads a parameter for it: each role has its policy, which moto does not attach."""
    resources = template("hub.yaml")["Resources"]
    agent, execution = (resources[role]["Properties"]["ManagedPolicyArns"]["If"] for role in ("AgentRole", "ExecutionRole"))
    nothing = {"Ref": "AWS::NoValue"}
    assert agent == ["ConfigInS3", [{"Ref": "ReadsConfigurationFromS3"}], nothing]
    assert execution == ["ConfigInS3", nothing, [{"Ref": "ReadsConfigurationFromParameter"}]]


def test_the_hub_asks_for_one_configuration() -> None:
    """Neither two sources of the configuration nor none are taken."""
    (assertion,) = template("hub.yaml")["Rules"]["OneConfiguration"]["Assertions"]
    for given, taken in [(("", ""), False), (("b", ""), True), (("", "arn"), True), (("b", "arn"), False)]:
        assert holds(assertion["Assert"], dict(zip(("ConfigBucket", "ConfigParameterArn"), given, strict=True))) is taken, given


def holds(condition: dict[str, Any], given: dict[str, str]) -> bool:
    """What a condition of CloudFormation comes to."""
    ((name, parts),) = condition.items()
    name = name.removeprefix("Fn::")
    if name == "Equals":
        left, right = (given[part["Ref"]] if isinstance(part, dict) else part for part in parts)
        return left == right
    values = [holds(part, given) for part in parts]
    return {"Not": lambda: not values[0], "And": lambda: all(values), "Or": lambda: any(values)}[name]()
