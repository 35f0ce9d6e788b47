# The deployment's runner: one machine in the operators' network, for GitHub's jobs and for operators. It holds no person's key:
# the machine's role reads what it needs.

locals {
  secrets = concat([var.github_token_name], var.secret_names)

  serve_settings = join("\n", [
    "REPOSITORY=${var.github.repository}",
    "RUNNER_NAME=${var.name}",
    "RUNNER_GROUP_ID=${var.github.runner_group_id}",
    "LABELS=${jsonencode(var.labels)}",
    "REGION=${var.region}",
    "TOKEN_PARAMETER=${var.github_token_name}",
    "",
  ])

  cloud_init = templatefile("${path.module}/cloud-init.yaml.tftpl", {
    serve    = base64encode(file("${path.module}/serve"))
    settings = base64encode(local.serve_settings)
    runner   = var.runner
    cli      = var.cli
    role     = alicloud_ram_role.this.role_name
    region   = var.region
  })
}

data "alicloud_images" "ubuntu" {
  owners       = "system"
  name_regex   = "^ubuntu_24_04_x64_20G_alibase_"
  architecture = "x86_64"
  most_recent  = true
}

resource "alicloud_ram_role" "this" {
  role_name   = "${var.name}-runner"
  description = "what the deployment's machine reads"
  assume_role_policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["ecs.aliyuncs.com"] } }]
  })
  tags = var.tags
}

# Reads alone: changes are the pipeline's, by its own role.
resource "alicloud_ram_policy" "this" {
  policy_name = "${var.name}-runner"
  description = "what the deployment's machine reads"
  policy_document = jsonencode({
    Version = "1"
    Statement = [
      { Effect = "Allow", Action = ["oos:GetSecretParameter"], Resource = [for name in local.secrets : "acs:oos:${var.region}:${var.account_id}:secretparameter/${name}"] },
      # Reading a parameter also takes this right, on a name of the service's choosing (certain: the API's page of
      # GetSecretParameter); an account without a KMS instance has no other secrets there.
      { Effect = "Allow", Action = ["kms:GetSecretValue"], Resource = ["acs:kms:${var.region}:${var.account_id}:secret/*"] },
      { Effect = "Allow", Action = ["cr:GetAuthorizationToken"], Resource = ["acs:cr:${var.region}:${var.account_id}:instance/${var.registry.instance_id}"] },
      { Effect = "Allow", Action = ["cr:PullRepository"], Resource = ["acs:cr:${var.region}:${var.account_id}:repository/${var.registry.instance_id}/${var.registry.namespace}/drain-worker"] },
    ]
  })
}

resource "alicloud_ram_role_policy_attachment" "this" {
  policy_name = alicloud_ram_policy.this.policy_name
  policy_type = "Custom"
  role_name   = alicloud_ram_role.this.role_name
}

resource "alicloud_instance" "this" {
  instance_name        = "${var.name}-runner"
  host_name            = "${var.name}-runner"
  description          = "the deployment's runner"
  image_id             = data.alicloud_images.ubuntu.images[0].id
  instance_type        = var.instance_type
  instance_charge_type = "PostPaid"
  vswitch_id           = var.vswitch_id
  security_groups      = [var.security_group_id]
  user_data            = base64encode(local.cloud_init)
  tags                 = var.tags

  # No address of its own: out by NAT, in by Session Manager.
  internet_max_bandwidth_out = 0

  system_disk_category  = "cloud_essd"
  system_disk_size      = 40
  system_disk_encrypted = true

  # The role's keys only by a session token, and to no container behind a bridge.
  http_endpoint               = "enabled"
  http_tokens                 = "required"
  http_put_response_hop_limit = 1

  lifecycle {
    # A newer image of the vendor must not replace the machine in the middle of a release; a change of its set-up does.
    ignore_changes = [image_id]
  }
}

# The service retries until the role is there.
resource "alicloud_ecs_ram_role_attachment" "this" {
  instance_id   = alicloud_instance.this.id
  ram_role_name = alicloud_ram_role.this.role_name
}
