mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_vpc" {
    defaults = { cidr_block = "10.0.0.0/16" }
  }
  mock_data "aws_vpc_endpoint" {
    defaults = { service_name = "com.amazonaws.eu-west-1.execute-api" }
  }
  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-6da54004" }
  }
}

variables {
  vpc_id                  = "vpc-0123456789abcdef0"
  subnet_ids              = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  route_table_ids         = ["rtb-0123456789abcdef0"]
  execute_api_endpoint_id = "vpce-0123456789abcdef0"
  image                   = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/spokeprobe:0.1.0"
  ecr_repository_arns     = ["arn:aws:ecr:eu-west-1:111122223333:repository/spokeprobe"]
  spoke_role_arns         = ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::222233334444:role/platform/spokeprobe"]
  config_yaml             = "spokes: []"
}

run "an_endpoint_that_exists_is_left_alone" {
  command = plan

  assert {
    condition     = length(aws_vpc_endpoint.execute_api) == 0 && output.execute_api_endpoint_id == "vpce-0123456789abcdef0"
    error_message = "An execute-api endpoint would be made or managed."
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.service)) == toset(["sts", "ecr.api", "ecr.dkr", "logs"]) && length(aws_vpc_endpoint.s3) == 1
    error_message = "endpoints: ${join(" ", keys(aws_vpc_endpoint.service))}"
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.service : endpoint.private_dns_enabled])
    error_message = "An endpoint without private DNS would not be found."
  }
}

run "an_endpoint_for_another_service_is_refused" {
  command = plan

  override_data {
    target = data.aws_vpc_endpoint.execute_api
    values = { service_name = "com.amazonaws.eu-west-1.sts" }
  }
  expect_failures = [data.aws_vpc_endpoint.execute_api]
}

run "an_unknown_partition_is_refused" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn" }
  }
  expect_failures = [data.aws_partition.current]
}

run "an_endpoint_is_made_where_none_is_given" {
  command = plan

  variables {
    execute_api_endpoint_id = null
    organization_id         = "o-a1b2c3d4e5"
    service_endpoints       = []
  }
  assert {
    condition     = jsondecode(aws_vpc_endpoint.execute_api[0].policy).Statement[0].Condition == { StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" } }
    error_message = "The endpoint's policy is not bound to the organisation."
  }
  assert {
    condition     = length(aws_vpc_endpoint.service) == 0 && length(aws_vpc_endpoint.s3) == 0
    error_message = "Endpoints are made that nobody asked for."
  }
}

run "the_given_policy_is_used" {
  command = plan

  variables {
    execute_api_endpoint_id = null
    execute_api_policy      = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
  assert {
    condition     = aws_vpc_endpoint.execute_api[0].policy == "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    error_message = "Another policy than the given one."
  }
}

run "an_open_endpoint_is_refused" {
  command = plan

  variables {
    execute_api_endpoint_id = null
  }
  expect_failures = [var.execute_api_endpoint_id]
}

run "a_policy_for_an_endpoint_that_exists_is_refused" {
  command = plan

  variables {
    execute_api_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
  expect_failures = [var.execute_api_endpoint_id]
}

run "one_task_never_two" {
  command = plan

  assert {
    condition     = aws_ecs_service.agent[0].desired_count == 1 && aws_ecs_service.agent[0].deployment_minimum_healthy_percent == 0 && aws_ecs_service.agent[0].deployment_maximum_percent == 100
    error_message = "A deployment could run two agents."
  }
  assert {
    condition     = aws_ecs_service.agent[0].network_configuration[0].assign_public_ip == false
    error_message = "The task would have a public address."
  }
  assert {
    condition     = length(aws_autoscaling_group.agent) == 0 && length(aws_prometheus_workspace.this) == 0 && length(aws_service_discovery_service.agent) == 0
    error_message = "More is made than was asked for."
  }
}

run "several_agents_share_and_overlap_while_they_are_replaced" {
  command = plan

  variables {
    agents      = 3
    namespace   = { name = "spokeprobe.internal" }
    config_yaml = "spokes: []\nmembers: {dns: agent.spokeprobe.internal}"
  }
  assert {
    condition     = aws_ecs_service.agent[0].desired_count == 3 && aws_ecs_service.agent[0].deployment_minimum_healthy_percent == 100 && aws_ecs_service.agent[0].deployment_maximum_percent == 200
    error_message = "A deployment would leave probes out."
  }
}

run "a_deployment_never_runs_more_agents_than_one_answer_names" {
  command = plan

  variables {
    agents      = 7
    namespace   = { name = "spokeprobe.internal" }
    config_yaml = "spokes: []\nmembers: {dns: agent.spokeprobe.internal}"
  }
  assert {
    # ECS rounds down.
    condition     = floor(7 * aws_ecs_service.agent[0].deployment_maximum_percent / 100) == 8
    error_message = "Cloud Map names eight of them, others each time."
  }
}

run "several_agents_with_one_shard_are_refused" {
  command = plan

  variables {
    agents      = 2
    namespace   = { name = "spokeprobe.internal" }
    config_yaml = "spokes: []\nmembers: {shard: 1/2}"
  }
  expect_failures = [var.agents]
}

run "several_agents_without_members_are_refused" {
  command = plan

  variables {
    agents    = 2
    namespace = { name = "spokeprobe.internal" }
  }
  expect_failures = [var.agents]
}

run "several_agents_without_a_name_are_refused" {
  command = plan

  variables {
    agents      = 2
    config_yaml = "spokes: []\nmembers: {dns: agent.spokeprobe.internal}"
  }
  expect_failures = [var.agents]
}

run "more_agents_than_one_answer_and_a_deployment_have_room_for_are_refused" {
  command = plan

  variables {
    agents      = 8
    namespace   = { name = "spokeprobe.internal" }
    config_yaml = "spokes: []\nmembers: {dns: agent.spokeprobe.internal}"
  }
  expect_failures = [var.agents]
}

run "the_container_is_hardened" {
  command = apply

  assert {
    condition = (
      jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].readonlyRootFilesystem
      && jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].user == "10403:10403"
      && jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].linuxParameters.capabilities.drop == ["ALL"]
    )
    error_message = "The container has a writable root, runs as root or keeps capabilities."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].healthCheck.command == ["CMD", "spokeprobe", "healthcheck"]
    error_message = "The health check is another."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].stopTimeout >= 30
    error_message = "The agent could be killed while it drains."
  }
  assert {
    condition = jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].environment == [
      { name = "SPOKEPROBE_LOG_FORMAT", value = "json" },
      { name = "SPOKEPROBE_CONFIG", value = "s3://spokeprobe-hub-111122223333-eu-west-1/config/config.yaml?region=eu-west-1" },
    ]
    error_message = "The agent would not find its configuration."
  }
  assert {
    condition     = length(jsondecode(aws_ecs_task_definition.agent[0].container_definitions)) == 1
    error_message = "A collector without a workspace."
  }
}

run "exactly_the_spokes_roles" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_policy.assume[0].policy).Statement == [{
      Sid      = "SpokeprobeAssume"
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::222233334444:role/platform/spokeprobe"]
    }]
    error_message = "policy: ${aws_iam_policy.assume[0].policy}"
  }
  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.agent[0].policy).Statement : statement.Sid]) == toset(["SpokeprobeConfiguration", "SpokeprobeConfigurationList"])
    error_message = "The agent's policy is more or less than it needs: ${aws_iam_role_policy.agent[0].policy}"
  }
  assert {
    condition     = !strcontains(jsonencode([for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement if statement.Sid != "RegistryLogin"]), "\"Resource\":\"*\"")
    error_message = "The execution role reaches more than its own."
  }
}

run "the_agents_role_by_its_name" {
  command = plan

  assert {
    condition     = output.agent_role_name == "spokeprobe-hub"
    error_message = "agent_role_name: ${output.agent_role_name}"
  }
}

run "four_hundred_spokes" {
  command = plan

  variables {
    spoke_role_arns = [for n in range(400) : format("arn:aws:iam::%012d:role/spokeprobe", n)]
  }
  assert {
    condition     = length(aws_iam_policy.assume) == 7 && alltrue([for policy in aws_iam_policy.assume : length(policy.policy) <= 6144])
    error_message = "policies: ${join(" ", [for policy in aws_iam_policy.assume : length(policy.policy)])}"
  }
  assert {
    condition     = toset(flatten([for policy in aws_iam_policy.assume : jsondecode(policy.policy).Statement[0].Resource])) == toset(var.spoke_role_arns)
    error_message = "A role is missing, or there is one too many."
  }
}

run "too_many_spokes_are_refused" {
  command = plan

  variables {
    spoke_role_arns = [for n in range(601) : format("arn:aws:iam::%012d:role/spokeprobe", n)]
  }
  expect_failures = [var.spoke_role_arns]
}

run "long_roles_are_refused" {
  command = plan

  variables {
    spoke_role_arns = [for n in range(60) : format("arn:aws:iam::%012d:role/a-path-that-is-far-too-long-for-this-many-roles-in-one-policy/spokeprobe", n)]
  }
  expect_failures = [aws_iam_policy.assume]
}

run "a_wildcard_role_is_refused" {
  command = plan

  variables {
    spoke_role_arns = ["arn:aws:iam::*:role/spokeprobe"]
  }
  expect_failures = [var.spoke_role_arns]
}

run "a_role_named_twice_is_refused" {
  command = plan

  variables {
    spoke_role_arns = ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::012345678901:role/spokeprobe"]
  }
  expect_failures = [var.spoke_role_arns]
}

run "configuration_in_s3" {
  command = plan

  variables {
    config_includes = { "spokes.d/payments.yaml" = "spokes: []" }
  }
  assert {
    condition     = toset([for object in aws_s3_object.config : object.key]) == toset(["config/config.yaml", "config/spokes.d/payments.yaml"])
    error_message = "The objects are others."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.agent[0].policy).Statement[0].Resource == "arn:aws:s3:::spokeprobe-hub-111122223333-eu-west-1/config/*" && jsondecode(aws_iam_role_policy.agent[0].policy).Statement[0].Action == "s3:GetObject"
    error_message = "policy: ${aws_iam_role_policy.agent[0].policy}"
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.agent[0].policy).Statement[1] == {
      Sid       = "SpokeprobeConfigurationList"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = "arn:aws:s3:::spokeprobe-hub-111122223333-eu-west-1"
      Condition = { StringLike = { "s3:prefix" = "config/*" } }
    }
    error_message = "More than the prefix may be listed, or not even that: ${aws_iam_role_policy.agent[0].policy}"
  }
  assert {
    condition     = aws_s3_bucket_versioning.config[0].versioning_configuration[0].status == "Enabled" && aws_s3_bucket_public_access_block.config[0].restrict_public_buckets && aws_s3_bucket_public_access_block.config[0].block_public_policy
    error_message = "The bucket is not versioned or not closed."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.config[0].policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "The bucket may be read without TLS."
  }
  assert {
    condition     = output.config_url == "s3://spokeprobe-hub-111122223333-eu-west-1/config/config.yaml?region=eu-west-1"
    error_message = "config_url: ${output.config_url}"
  }
}

run "a_configuration_in_the_environment" {
  command = apply

  variables {
    config_source = "env"
  }
  assert {
    condition = jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[0].environment == [
      { name = "SPOKEPROBE_LOG_FORMAT", value = "json" },
      { name = "SPOKEPROBE_CONFIG", value = "env:SPOKEPROBE_YAML" },
      { name = "SPOKEPROBE_YAML", value = "spokes: []" },
    ]
    error_message = "The agent would not find its configuration."
  }
  assert {
    condition     = length(aws_s3_bucket.config) == 0 && length(aws_iam_role_policy.agent) == 0
    error_message = "A bucket or a policy that nobody needs."
  }
}

run "includes_without_s3_are_refused" {
  command = plan

  variables {
    config_source = "env"
    config_yaml   = "include: [spokes.d/*.yaml]"
  }
  expect_failures = [var.config_yaml]
}

run "broken_yaml_is_refused" {
  command = plan

  variables {
    config_yaml = "spokes: ["
  }
  expect_failures = [var.config_yaml]
}

run "prometheus_with_collector_and_topic" {
  command = apply

  variables {
    namespace = { name = "spokeprobe.internal" }
    prometheus = {
      collector_image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/aws-otel-collector:v0.43.3"
      alert_topic_arn = "arn:aws:sns:eu-west-1:111122223333:alerts"
    }
  }
  override_resource {
    target = aws_prometheus_workspace.this
    values = {
      arn                 = "arn:aws:aps:eu-west-1:111122223333:workspace/ws-1"
      prometheus_endpoint = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/"
    }
  }
  assert {
    condition     = toset(keys(aws_prometheus_rule_group_namespace.rules)) == toset(["spokeprobe-alerts", "spokeprobe-recording"])
    error_message = "The rules are missing."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.agent[0].policy).Statement : statement if statement.Sid == "SpokeprobeRemoteWrite"] == [{ Sid = "SpokeprobeRemoteWrite", Effect = "Allow", Action = "aps:RemoteWrite", Resource = "arn:aws:aps:eu-west-1:111122223333:workspace/ws-1" }]
    error_message = "policy: ${aws_iam_role_policy.agent[0].policy}"
  }
  assert {
    condition     = [for variable in jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[1].environment : variable.value if variable.name == "SPOKEPROBE_REMOTE_WRITE_URL"] == ["https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"]
    error_message = "The collector would not know where to send."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.agent[0].container_definitions)[1].essential == false
    error_message = "The collector's end would end the agent."
  }
  assert {
    condition     = yamldecode(yamldecode(aws_prometheus_alert_manager_definition.this[0].definition).alertmanager_config).receivers[0].sns_configs[0].topic_arn == "arn:aws:sns:eu-west-1:111122223333:alerts"
    error_message = "Alerts would go nowhere."
  }
  assert {
    condition     = length(yamldecode(yamldecode(aws_prometheus_alert_manager_definition.this[0].definition).alertmanager_config).inhibit_rules) >= 5
    error_message = "Nothing is held back when the endpoint is down."
  }
  assert {
    condition     = output.scrape_name == "agent.spokeprobe.internal"
    error_message = "scrape_name: ${output.scrape_name}"
  }
}

run "collectors_beside_several_agents_are_refused" {
  command = plan

  variables {
    agents      = 2
    namespace   = { name = "spokeprobe.internal" }
    config_yaml = "spokes: []\nmembers: {dns: agent.spokeprobe.internal}"
    prometheus  = { collector_image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/aws-otel-collector:v0.43.3" }
  }
  expect_failures = [var.prometheus]
}

run "secrets_are_read_by_their_arns" {
  command = plan

  variables {
    secrets = { SPOKEPROBE_PAYMENTS_EXTERNAL_ID = "arn:aws:ssm:eu-west-1:111122223333:parameter/spokeprobe/payments" }
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement.Resource if statement.Sid == "Parameters"] == [["arn:aws:ssm:eu-west-1:111122223333:parameter/spokeprobe/payments"]]
    error_message = "policy: ${aws_iam_role_policy.execution[0].policy}"
  }
}

run "secrets_that_the_agent_would_refuse" {
  command = plan

  variables {
    secrets = { AWS_SECRET = "arn:aws:ssm:eu-west-1:111122223333:parameter/spokeprobe/payments" }
  }
  expect_failures = [var.secrets]
}

run "an_instance_in_place_of_a_task" {
  command = plan

  variables {
    compute           = "ec2"
    image             = null
    service_endpoints = ["sts", "ssm", "ssmmessages", "ec2messages"]
    program = {
      bucket = "artifacts"
      key    = "spokeprobe/0.1.0/spokeprobe-x86_64"
      sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
  }
  assert {
    condition     = length(aws_ecs_service.agent) == 0 && length(aws_iam_role.execution) == 0
    error_message = "Parts of a service are made beside the instance."
  }
  assert {
    condition     = aws_launch_template.agent[0].metadata_options[0].http_tokens == "required" && aws_launch_template.agent[0].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Version 1 of the metadata service would answer."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.ssm[0].policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "The instance cannot be reached by Session Manager."
  }
  assert {
    condition     = aws_autoscaling_group.agent[0].max_size == 1 && aws_autoscaling_group.agent[0].instance_refresh[0].preferences[0].min_healthy_percentage == 0
    error_message = "A refresh could run two agents."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.agent[0].policy).Statement : statement.Resource if statement.Sid == "SpokeprobeProgram"][0] == "arn:aws:s3:::artifacts/spokeprobe/0.1.0/spokeprobe-x86_64"
    error_message = "policy: ${aws_iam_role_policy.agent[0].policy}"
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.agent[0].user_data), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /run/spokeprobe-new") && strcontains(base64decode(aws_launch_template.agent[0].user_data), "SPOKEPROBE_CONFIG=s3://spokeprobe-hub-111122223333-eu-west-1/config/config.yaml?region=eu-west-1\n") && !strcontains(base64decode(aws_launch_template.agent[0].user_data), "base64 --decode")
    error_message = "user data: ${base64decode(aws_launch_template.agent[0].user_data)}"
  }
}

run "an_instance_with_its_configuration_in_a_file" {
  command = plan

  variables {
    compute           = "ec2"
    config_source     = "env"
    image             = null
    service_endpoints = ["sts", "ssm", "ssmmessages", "ec2messages"]
    program = {
      bucket = "artifacts"
      key    = "spokeprobe/0.1.0/spokeprobe-x86_64"
      sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.agent[0].user_data), base64encode("spokes: []")) && strcontains(base64decode(aws_launch_template.agent[0].user_data), "SPOKEPROBE_CONFIG=/etc/spokeprobe/config.yaml\n")
    error_message = "user data: ${base64decode(aws_launch_template.agent[0].user_data)}"
  }
}

run "an_instance_without_a_program_is_refused" {
  command = plan

  variables {
    compute = "ec2"
  }
  expect_failures = [var.program]
}

run "the_whole_internet_may_not_scrape" {
  command = plan

  variables {
    scrape_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.scrape_cidrs]
}

run "a_short_stop_is_refused" {
  command = plan

  variables {
    stop_timeout_seconds = 5
  }
  expect_failures = [var.stop_timeout_seconds]
}

run "an_unknown_endpoint_is_refused" {
  command = plan

  variables {
    service_endpoints = ["sts", "dynamodb"]
  }
  expect_failures = [var.service_endpoints]
}
