# Amazon Managed Prometheus, as an option: a workspace, the project's rules, and where alerts go.

locals {
  rules = var.prometheus == null ? {} : {
    spokeprobe-recording = "spokeprobe.recording.yml"
    spokeprobe-alerts    = "spokeprobe.alerts.yml"
  }
  topic = try(var.prometheus.alert_topic_arn, null)

  # What is held back is as in the project's own alertmanager.yml. Managed receivers are SNS topics (or PagerDuty): one
  # topic takes all, and its subscriptions filter by the attributes `severity` and `scope`.
  alertmanager = {
    route = {
      receiver        = "topic"
      group_by        = ["scope", "spoke", "severity"]
      group_wait      = "30s"
      group_interval  = "5m"
      repeat_interval = "4h"
    }
    inhibit_rules = yamldecode(file("${path.module}/../../alertmanager/alertmanager.yml")).inhibit_rules
    receivers = [{
      name = "topic"
      sns_configs = [{
        topic_arn     = local.topic
        send_resolved = true
        sigv4         = { region = local.region }
        attributes = {
          severity = "{{ .CommonLabels.severity }}"
          scope    = "{{ .CommonLabels.scope }}"
        }
      }]
    }]
  }
}

resource "aws_prometheus_workspace" "this" {
  count       = var.prometheus == null ? 0 : 1
  alias       = var.name
  kms_key_arn = var.kms_key_arn
  tags        = var.tags

  logging_configuration {
    log_group_arn = "${aws_cloudwatch_log_group.prometheus[0].arn}:*"
  }
}

# The service takes only groups whose names begin so.
resource "aws_cloudwatch_log_group" "prometheus" {
  count             = var.prometheus == null ? 0 : 1
  name              = "/aws/vendedlogs/prometheus/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_prometheus_rule_group_namespace" "rules" {
  for_each     = local.rules
  name         = each.key
  workspace_id = aws_prometheus_workspace.this[0].id
  data         = file("${path.module}/../../prometheus/${each.value}")
}

resource "aws_prometheus_alert_manager_definition" "this" {
  count        = local.topic == null ? 0 : 1
  workspace_id = aws_prometheus_workspace.this[0].id
  definition   = yamlencode({ alertmanager_config = yamlencode(local.alertmanager) })
}
