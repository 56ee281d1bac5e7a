# What exists already.

variable "vpc_id" {
  description = "The hub's VPC."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id must look like vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the VPC, in different zones: for the agent, and for the endpoints that are made here."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids must name at least one subnet, as subnet-0123456789abcdef0."
  }
  validation {
    condition     = length(distinct(var.subnet_ids)) == length(var.subnet_ids)
    error_message = "A subnet is named twice."
  }
}

variable "execute_api_endpoint_id" {
  description = <<-EOT
    The shared execute-api endpoint. Null makes one here, with the policy of `execute_api_policy` or `organization_id`.
    The policy, the subnets and the security groups of an endpoint that is given are never managed by this module.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.execute_api_endpoint_id == null || can(regex("^vpce-[0-9a-f]{8,17}$", var.execute_api_endpoint_id))
    error_message = "execute_api_endpoint_id must look like vpce-0123456789abcdef0."
  }
  validation {
    condition     = var.execute_api_endpoint_id == null || var.execute_api_policy == null
    error_message = "execute_api_policy is for an endpoint that is made here; the policy of one that exists is never managed. Leave one of the two out."
  }
  validation {
    condition     = var.execute_api_endpoint_id != null || var.execute_api_policy != null || var.organization_id != null
    error_message = "An endpoint made here needs a policy: set execute_api_policy, or organization_id to let in the whole organisation. It is never left open to all."
  }
}

variable "execute_api_policy" {
  description = "Policy of the endpoint that is made here, as JSON. Null writes one for `organization_id`."
  type        = string
  default     = null

  validation {
    condition     = var.execute_api_policy == null || (can(jsondecode(var.execute_api_policy).Statement) && length(coalesce(var.execute_api_policy, "-")) <= 20480)
    error_message = "execute_api_policy must be a JSON policy with Statement, of at most 20,480 characters with white space: past that name the roles by a pattern."
  }
}

variable "organization_id" {
  description = "Whose principals pass the endpoint that is made here."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must look like o-a1b2c3d4e5."
  }
}

variable "service_endpoints" {
  description = <<-EOT
    Endpoints to make for a VPC without internet. A second interface endpoint with private DNS for a service that has one
    is refused by AWS: take out of the set what exists. `ssm`, `ssmmessages`, `ec2messages` are for EC2 (and `ssm` for
    secrets from parameters), `secretsmanager` for secrets from there, `aps-workspaces` for Amazon Managed Prometheus.
  EOT
  type        = set(string)
  default     = ["sts", "ecr.api", "ecr.dkr", "logs", "s3"]

  validation {
    condition = length(setsubtract(var.service_endpoints, [
      "sts", "ecr.api", "ecr.dkr", "logs", "s3", "ssm", "ssmmessages", "ec2messages", "secretsmanager", "aps-workspaces",
    ])) == 0
    error_message = "service_endpoints may hold: sts, ecr.api, ecr.dkr, logs, s3, ssm, ssmmessages, ec2messages, secretsmanager, aps-workspaces."
  }
  validation {
    condition     = !contains(var.service_endpoints, "s3") || length(var.route_table_ids) > 0
    error_message = "The gateway endpoint for S3 needs route_table_ids, those of the subnets; or take s3 out of service_endpoints where it exists."
  }
}

variable "route_table_ids" {
  description = "Route tables of the subnets, for the gateway endpoint of S3."
  type        = list(string)
  default     = []
}

variable "endpoint_cidrs" {
  description = "Where endpoints lie, when outside of the VPC's own range (a shared services VPC, secondary ranges)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.endpoint_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "endpoint_cidrs are ranges as 10.1.0.0/16; the whole internet is not one of them."
  }
}

# The agent.

variable "name" {
  description = "Names what is made here: role, service, log group, bucket, security groups."
  type        = string
  default     = "spokeprobe-hub"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,31}$", var.name))
    error_message = "name must have 2 to 32 lower-case letters, digits and dashes and begin with a letter."
  }
}

variable "spoke_role_arns" {
  description = "The roles the agent may assume, exactly these: `role_arn` of each spoke module."
  type        = list(string)

  validation {
    condition     = length(var.spoke_role_arns) > 0
    error_message = "spoke_role_arns is empty: the agent could assume no role."
  }
  validation {
    condition     = alltrue([for arn in var.spoke_role_arns : can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$", arn))])
    error_message = "Each of spoke_role_arns must be the ARN of one role, as arn:aws:iam::222233334444:role/spokeprobe, without wildcards."
  }
  validation {
    condition     = length(distinct(var.spoke_role_arns)) == length(var.spoke_role_arns)
    error_message = "A role stands twice in spoke_role_arns."
  }
  validation {
    condition     = length(var.spoke_role_arns) <= 600
    error_message = "More than 600 roles do not fit into the ten managed policies that IAM attaches to a role: run two agents, each with a part of the spokes."
  }
}

variable "compute" {
  description = "Where the agent runs: `fargate`, or `ec2` for an auto-scaling group of one instance."
  type        = string
  default     = "fargate"

  validation {
    condition     = contains(["fargate", "ec2"], var.compute)
    error_message = "compute must be fargate or ec2."
  }
}

variable "image" {
  description = "The agent's image in a registry that the VPC reaches (ECR), with tag or digest. For fargate."
  type        = string
  default     = null

  validation {
    condition     = var.compute != "fargate" || can(regex("^[^ ]+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "compute = \"fargate\" needs image with a tag or a digest, as 111122223333.dkr.ecr.eu-west-1.amazonaws.com/spokeprobe:0.1.0."
  }
}

variable "ecr_repository_arns" {
  description = "Repositories that the images are pulled from; the execution role may read these and no others."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.ecr_repository_arns : can(regex("^arn:aws(-[a-z]+)*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9._/-]+$", arn))])
    error_message = "ecr_repository_arns must be ARNs of repositories without wildcards."
  }
  validation {
    condition     = var.compute != "fargate" || length(var.ecr_repository_arns) > 0 || !can(regex("\\.dkr\\.ecr\\.", var.image))
    error_message = "The image lies in ECR: name its repository in ecr_repository_arns."
  }
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64: what the image or the program was built for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "cpu" {
  description = "CPU units of the task (1024 are one vCPU)."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "cpu must be 256, 512, 1024, 2048 or 4096."
  }
}

variable "memory" {
  description = "Memory of the task in MiB; Fargate takes only some pairs of cpu and memory."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= var.cpu * 2 && var.memory <= var.cpu * 8
    error_message = "Fargate wants memory in MiB of two to eight times cpu."
  }
}

variable "stop_timeout_seconds" {
  description = "How long the agent may drain on SIGTERM before it is killed."
  type        = number
  default     = 40

  validation {
    condition     = var.stop_timeout_seconds >= 30 && var.stop_timeout_seconds <= 120
    error_message = "stop_timeout_seconds must lie between 30 (attempts in flight get 8 s to end and the agent exits within 10; the rest is for a busy machine) and 120, the limit of Fargate."
  }
}

variable "cluster_arn" {
  description = "An ECS cluster that exists; null makes one."
  type        = string
  default     = null
}

# Configuration.

variable "config_yaml" {
  description = "The agent's configuration, as `file(\"config.yaml\")`. Check it before with `spokeprobe plan`."
  type        = string

  validation {
    condition     = can(yamldecode(var.config_yaml).spokes) || can(yamldecode(var.config_yaml).include)
    error_message = "config_yaml must be YAML with spokes or include: `spokeprobe plan` says what is wrong."
  }
  validation {
    condition     = var.config_source != "env" || length(var.config_yaml) <= (var.compute == "ec2" ? 10000 : 48000)
    error_message = "config_yaml is too long for config_source = \"env\": at most 48,000 characters in a task definition, 10,000 in an instance's user data. Use config_source = \"s3\"."
  }
  validation {
    condition     = var.config_source != "env" || !can(yamldecode(var.config_yaml).include)
    error_message = "`include` needs files beside the configuration, which config_source = \"env\" does not have."
  }
}

variable "config_source" {
  description = <<-EOT
    How the agent gets its configuration. `s3`: from the bucket made here (`--config s3://BUCKET/KEY`), which it looks at again and again, so
    a change takes effect without a new task; includes lie beside it. `env`: in the variable SPOKEPROBE_YAML of the task
    (`--config env:SPOKEPROBE_YAML`), on EC2 as a file; a change replaces the task.
  EOT
  type        = string
  default     = "s3"

  validation {
    condition     = contains(["env", "s3"], var.config_source)
    error_message = "config_source must be env or s3."
  }
}

variable "config_includes" {
  description = "For config_source = \"s3\": further files beside the configuration, by their path, as {\"spokes.d/payments.yaml\" = file(…)}."
  type        = map(string)
  default     = {}

  validation {
    condition     = var.config_source == "s3" || length(var.config_includes) == 0
    error_message = "config_includes need config_source = \"s3\"."
  }
  validation {
    condition     = alltrue([for path in keys(var.config_includes) : can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", path)) && !strcontains(path, "..")])
    error_message = "config_includes are named by relative paths, without `..`."
  }
}

variable "agents" {
  description = <<-EOT
    How many agents run. More than one need `members` in the configuration, or each probe would be sent by all of them: `members: {dns: agent.NAMESPACE}`
    with the name of `namespace`. Then a deployment starts new tasks before it ends old ones, and shares move for a moment. Only for fargate.
  EOT
  type        = number
  default     = 1

  validation {
    # Cloud Map answers a name with eight addresses at most, others each time, and members that see different answers
    # divide differently. A deployment needs one of the eight places.
    condition     = var.agents >= 1 && var.agents <= 7 && floor(var.agents) == var.agents
    error_message = "agents is a whole number from 1 to 7: Cloud Map names eight in one answer, and a deployment needs a place. For more, run several hubs of the module with \"members: {shard: 1/3}\"."
  }
  validation {
    condition     = var.agents == 1 || (var.compute == "fargate" && var.namespace != null)
    error_message = "Several agents find each other by their name in Cloud Map: set namespace, with compute = \"fargate\"."
  }
  validation {
    # `shard` is no way out: all tasks have the same configuration.
    condition     = var.agents == 1 || can(yamldecode(var.config_yaml).members.dns)
    error_message = "config_yaml has no members.dns: each of several agents would send every probe."
  }
}

variable "secrets" {
  description = <<-EOT
    Environment of the task from SSM parameters or Secrets Manager, by name, for `$${NAME}` in the configuration
    (included files may use only names that begin with SPOKEPROBE_):
    {SPOKEPROBE_PAYMENTS_EXTERNAL_ID = "arn:aws:ssm:eu-west-1:111122223333:parameter/spokeprobe/payments"}. Only for fargate.
  EOT
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !can(regex("^(AWS|ECS)_|^SPOKEPROBE_(YAML|CONFIG)$", name))])
    error_message = "Names of secrets have capitals, digits and _; those that begin with AWS_ or ECS_ are refused by the agent, SPOKEPROBE_YAML and SPOKEPROBE_CONFIG are set here."
  }
  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:aws(-[a-z]+)*:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9._/-]+|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)$", arn))])
    error_message = "secrets are ARNs of SSM parameters or of whole secrets of Secrets Manager, without wildcards."
  }
  validation {
    condition     = var.compute == "fargate" || length(var.secrets) == 0
    error_message = "secrets are for compute = \"fargate\"."
  }
}

variable "secrets_kms_key_arns" {
  description = "Customer managed keys that `secrets` are encrypted with."
  type        = list(string)
  default     = []
}

# EC2.

variable "instance_type" {
  description = "For ec2: an instance type of cpu_architecture."
  type        = string
  default     = "t3.small"
}

variable "instance_image_id" {
  description = "For ec2: an AMI with systemd, the SSM agent and the AWS CLI. Null takes Amazon Linux 2023."
  type        = string
  default     = null

  validation {
    condition     = var.instance_image_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.instance_image_id))
    error_message = "instance_image_id must look like ami-0123456789abcdef0."
  }
}

variable "program" {
  description = "For ec2: the program (the bare executable) in S3, and its SHA-256 in hex. The instance refuses any other."
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })
  default = null

  validation {
    condition     = var.compute != "ec2" || can(regex("^[0-9a-f]{64}$", var.program.sha256))
    error_message = "compute = \"ec2\" needs program with bucket, key and sha256 (64 hex digits)."
  }
  validation {
    condition = var.program == null || (
      can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.program.bucket)) && can(regex("^[A-Za-z0-9._/-]+$", var.program.key))
    )
    error_message = "program.bucket is a bucket's name, program.key has letters, digits and ._/-."
  }
}

# Watching the agent.

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods CloudWatch Logs knows, as 30, 90 or 365."
  }
}

variable "kms_key_arn" {
  description = "A customer managed key for the log group, the bucket and the Prometheus workspace; null leaves AWS's own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key."
  }
}

variable "namespace" {
  description = "Cloud Map: `name` makes a private DNS namespace in the VPC, `id` takes one that exists, null registers nothing. The agent is then agent.NAMESPACE. Only for fargate."
  type = object({
    name = optional(string)
    id   = optional(string)
  })
  default = null

  validation {
    condition     = var.namespace == null || (try(var.namespace.name, null) == null) != (try(var.namespace.id, null) == null)
    error_message = "namespace has either name or id."
  }
  validation {
    condition     = try(var.namespace.id, null) == null || can(regex("^ns-[a-z0-9]+$", var.namespace.id))
    error_message = "namespace.id must look like ns-abcdefghij1234567."
  }
  validation {
    condition     = var.namespace == null || var.compute == "fargate"
    error_message = "namespace is for compute = \"fargate\"; find an instance by its tag Name."
  }
}

variable "scrape_cidrs" {
  description = "Who may scrape port 10403 of the agent, by range. Empty with the collector beside the agent."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.scrape_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "scrape_cidrs are ranges as 10.1.0.0/24; the whole internet is not one of them."
  }
}

variable "scrape_security_group_ids" {
  description = "Who may scrape, by security group."
  type        = list(string)
  default     = []
}

variable "prometheus" {
  description = <<-EOT
    Amazon Managed Prometheus: null for none; {} makes a workspace with the project's rules. `collector_image` (fargate) puts an
    ADOT collector beside the agent that sends to it; `alert_topic_arn` makes an alert manager definition that tells an SNS topic,
    whose own policy must let aps.amazonaws.com publish.
  EOT
  type = object({
    collector_image = optional(string)
    alert_topic_arn = optional(string)
  })
  default = null

  validation {
    condition     = try(var.prometheus.alert_topic_arn, null) == null || can(regex("^arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.prometheus.alert_topic_arn))
    error_message = "prometheus.alert_topic_arn must be the ARN of an SNS topic (not a FIFO one)."
  }
  validation {
    condition     = try(var.prometheus.collector_image, null) == null || var.compute == "fargate"
    error_message = "prometheus.collector_image is for compute = \"fargate\"."
  }
  validation {
    condition     = try(var.prometheus.collector_image, null) == null || var.agents == 1
    error_message = "Collectors beside several agents would write the same series (instance 127.0.0.1:10403): scrape by name with namespace instead."
  }
}

variable "tags" {
  description = "Tags of all that is made here."
  type        = map(string)
  default     = {}
}
