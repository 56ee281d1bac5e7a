"""Where the hub's credentials come from: each source of the SDK's default chain, seen by what the agent signs with."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent import HUB, HUB_KEYS, REGION, call, configuration, role_arn, spoke, write_configuration
from botocore.credentials import Credentials
from metadata import ContainerCredentials, InstanceMetadata
from processes import Launcher
from sigv4 import authorization_of, check_signature
from sts import SmallSts
from witness import gateway_answer

SESSION = Credentials("ASIAHUBSESSION000001", "hub/session+secret/key/000000000000000001", "HubSessionToken//+/==")
# The witnesses' bare environment turns the metadata service off, so that no test asks the machine's own.
WITH_METADATA = {"AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "false"}


class Setting:
    """One spoke, a small STS that knows the hub's possible keys, and a witness as the endpoint."""

    def __init__(self, binary: Path, launcher: Launcher, serve, closing) -> None:
        self.binary, self.launcher = binary, launcher
        self.sts = closing(SmallSts([HUB, SESSION]))
        self.endpoint = serve(lambda request: gateway_answer({"hello": "world"}))
        probes = [{"name": "hello", "request": "GET /"}]
        content = configuration(self.endpoint.url, self.sts.url, [spoke("payments", "012345678901", probes)])
        self.config = write_configuration(launcher.folder, content)

    def call(self, environment: dict[str, str]) -> tuple[dict, str]:
        """A call as the spoke: the answer's verdict, and the access key that signed AssumeRole."""
        arguments = ["payments/hoot", "GET", "/"]
        status, said, program = call(self.launcher, self.binary, self.config, arguments, environment)
        assert said is not None, program.tail()
        if status == 0:
            (request,) = self.endpoint.take()
            issued = self.sts.ledger.of(authorization_of(request).access_key)
            assert issued.role_arn == role_arn("012345678901")
            check_signature(request, issued.credentials, "execute-api", REGION)
        for secret in (HUB.secret_key, SESSION.secret_key, SESSION.token, *self.sts.ledger.secrets()):
            assert secret not in program.output, "a secret was printed"
        assert not self.sts.problems, self.sts.problems
        return said, self.sts.signers[-1] if self.sts.signers else "nobody"


@pytest.fixture
def setting(binary: Path, launcher: Launcher, serve, closing) -> Setting:
    return Setting(binary, launcher, serve, closing)


def ok(said: dict) -> bool:
    return (said["outcome"], said["reason"]) == ("ok", "none")


def test_environment(setting: Setting) -> None:
    """Static keys and session credentials from the environment."""
    said, signer = setting.call(HUB_KEYS)
    assert ok(said) and signer == HUB.access_key, said
    session = {
        "AWS_ACCESS_KEY_ID": SESSION.access_key,
        "AWS_SECRET_ACCESS_KEY": SESSION.secret_key,
        "AWS_SESSION_TOKEN": SESSION.token,
    }
    said, signer = setting.call(session)
    assert ok(said) and signer == SESSION.access_key, said


def test_profile(setting: Setting) -> None:
    """A named profile in the shared credentials file."""
    file = setting.launcher.folder / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n"
        f"[hub]\naws_access_key_id = {HUB.access_key}\naws_secret_access_key = {HUB.secret_key}\n"
    )
    said, signer = setting.call({"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "hub"})
    assert ok(said) and signer == HUB.access_key, said


def test_container_endpoint(setting: Setting, closing) -> None:
    """The credentials endpoint of ECS, with its authorization token."""
    container = closing(ContainerCredentials(SESSION, "Bearer witness"))
    said, signer = setting.call(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer witness",
        }
    )
    assert ok(said) and signer == SESSION.access_key, said


def test_instance_metadata(setting: Setting, closing) -> None:
    """EC2's IMDSv2: the token first, then the role's credentials."""
    instance = closing(InstanceMetadata(SESSION))
    said, signer = setting.call({**WITH_METADATA, "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url})
    assert ok(said) and signer == SESSION.access_key, said
    assert instance.witness.requests[0].method == "PUT"


def test_web_identity(setting: Setting) -> None:
    """A web identity token file, exchanged by AssumeRoleWithWebIdentity at the configured STS."""
    file = setting.launcher.folder / "token"
    file.write_text("eyJhbGciOiJub25lIn0.e30.")
    said, _ = setting.call(
        {
            "AWS_REGION": REGION,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
            "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/spokeprobe-hub",
            "AWS_ROLE_SESSION_NAME": "hub",
            "AWS_ENDPOINT_URL_STS": setting.sts.url,
        }
    )
    assert ok(said), said
    first, second = setting.sts.seen[0], [one for one in setting.sts.seen if one["Action"] == "AssumeRole"][-1]
    assert first["Action"] == "AssumeRoleWithWebIdentity" and first["WebIdentityToken"] == "eyJhbGciOiJub25lIn0.e30."
    assert second["RoleArn"] == role_arn("012345678901")
    assert "eyJhbGciOiJub25lIn0" not in setting.launcher.programs[-1].output


def test_no_credentials_and_wrong_ones(setting: Setting, closing) -> None:
    """Seeded errors: no source at all is `no_hub_credentials`; a wrong container token or secret never gets a session."""
    said, signer = setting.call({"AWS_REGION": REGION})
    assert (said["outcome"], said["reason"]) == ("unsent", "no_hub_credentials") and signer == "nobody", said
    container = closing(ContainerCredentials(SESSION, "Bearer witness"))
    said, signer = setting.call(
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer wrong"}
    )
    assert (said["outcome"], said["reason"]) == ("unsent", "no_hub_credentials") and signer == "nobody", said
    arguments = ["payments/hoot", "GET", "/"]
    wrong = {**HUB_KEYS, "AWS_SECRET_ACCESS_KEY": "another/secret"}
    status, said, _ = call(setting.launcher, setting.binary, setting.config, arguments, wrong)
    assert status == 1 and said is not None, said
    # Not the role is to blame: STS does not accept the hub's own keys.
    assert (said["outcome"], said["reason"]) == ("unsent", "no_hub_credentials"), said
    assert len(setting.sts.problems) >= 1 and not setting.endpoint.take()
