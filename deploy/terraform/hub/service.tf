# The agent as an ECS service on Fargate, its name in Cloud Map, and the collector beside it.

locals {
  collector = local.fargate && try(var.prometheus.collector_image, null) != null

  log_options = {
    awslogs-group         = aws_cloudwatch_log_group.agent.name
    awslogs-region        = local.region
    awslogs-stream-prefix = "task"
  }

  agent_container = {
    name      = "spokeprobe"
    image     = var.image
    essential = true
    command   = ["run"]
    user      = "10403:10403"
    # SPOKEPROBE_CONFIG rather than an argument, so that a one-off `doctor` in this task reads the same.
    environment = concat(
      [{ name = "SPOKEPROBE_LOG_FORMAT", value = "json" }],
      var.config_source == "s3" ? [
        { name = "SPOKEPROBE_CONFIG", value = local.config_url },
        ] : [
        { name = "SPOKEPROBE_CONFIG", value = "env:SPOKEPROBE_YAML" },
        { name = "SPOKEPROBE_YAML", value = var.config_yaml },
      ],
    )
    secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
    portMappings           = [{ containerPort = local.port, protocol = "tcp" }]
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    stopTimeout            = var.stop_timeout_seconds
    healthCheck = {
      command     = ["CMD", "spokeprobe", "healthcheck"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = { logDriver = "awslogs", options = local.log_options }
  }

  # Not essential: an agent whose collector ends goes on probing. Settings come by variables of the environment.
  collector_container = {
    name      = "collector"
    image     = try(var.prometheus.collector_image, null)
    essential = false
    environment = [
      { name = "AOT_CONFIG_CONTENT", value = file("${path.module}/../../otel/collector.yaml") },
      { name = "AWS_REGION", value = local.region },
      { name = "SPOKEPROBE_REMOTE_WRITE_URL", value = try("${aws_prometheus_workspace.this[0].prometheus_endpoint}api/v1/remote_write", "") },
    ]
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    stopTimeout            = 30
    logConfiguration       = { logDriver = "awslogs", options = merge(local.log_options, { awslogs-stream-prefix = "collector" }) }
  }
}

resource "aws_ecs_cluster" "this" {
  count = local.fargate && var.cluster_arn == null ? 1 : 0
  name  = var.name
  tags  = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

locals {
  cluster_arn = local.fargate ? (var.cluster_arn == null ? aws_ecs_cluster.this[0].arn : var.cluster_arn) : null
}

resource "aws_ecs_task_definition" "agent" {
  count                    = local.fargate ? 1 : 0
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.agent.arn
  execution_role_arn       = aws_iam_role.execution[0].arn
  container_definitions    = jsonencode(concat([local.agent_container], [for _ in local.collector ? [1] : [] : local.collector_container]))
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }
}

resource "aws_ecs_service" "agent" {
  count           = local.fargate ? 1 : 0
  name            = var.name
  cluster         = local.cluster_arn
  task_definition = aws_ecs_task_definition.agent[0].arn
  launch_type     = "FARGATE"
  # One task, and the old one ends before the new one begins: without `members` two tasks would double every probe. With them
  # no probe is left out: new tasks come first, but never more than the eight that Cloud Map names in one answer.
  desired_count                      = var.agents
  deployment_minimum_healthy_percent = var.agents == 1 ? 0 : 100
  deployment_maximum_percent         = var.agents == 1 ? 100 : min(200, ceil(800 / var.agents))
  availability_zone_rebalancing      = "DISABLED"
  # A shell within the task would need a writable root.
  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.agent.id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.agent

    content {
      registry_arn = service_registries.value.arn
    }
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy_attachment.assume, aws_s3_object.config]
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  count       = local.fargate && try(var.namespace.name, null) != null ? 1 : 0
  name        = var.namespace.name
  description = "Where spokeprobe is found for scrapes"
  vpc         = var.vpc_id
  tags        = var.tags
}

resource "aws_service_discovery_service" "agent" {
  count = local.fargate && var.namespace != null ? 1 : 0
  name  = "agent"
  tags  = var.tags

  dns_config {
    namespace_id   = try(var.namespace.id, null) == null ? aws_service_discovery_private_dns_namespace.this[0].id : var.namespace.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
