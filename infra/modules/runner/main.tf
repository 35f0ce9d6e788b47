# The deployment's runner: one machine in the operators' network, for GitHub's jobs and for operators. It holds no person's key:
# the machine's role, which the account's root makes, reads what it needs.

locals {
  serve_settings = join("\n", [
    # Groups but the first are an organisation's.
    "SCOPE=${var.size.github.runner_group_id == 1 ? "repos/${var.size.github.repository}" : "orgs/${split("/", var.size.github.repository)[0]}"}",
    "RUNNER_NAME=${var.name}",
    "RUNNER_GROUP_ID=${var.size.github.runner_group_id}",
    # The last part of the name is the environment's: each environment's jobs need its own network.
    "LABELS=${jsonencode(["self-hosted", "spillway-vpc", regex("[a-z0-9]+$", var.name)])}",
    "REGION=${var.region}",
    "TOKEN_PARAMETER=${var.github_token_name}",
    "",
  ])

  cloud_init = templatefile("${path.module}/cloud-init.yaml.tftpl", {
    serve    = base64encode(file("${path.module}/serve"))
    settings = base64encode(local.serve_settings)
    runner   = var.size.runner
    cli      = var.size.cli
    role     = var.role_name
    region   = var.region
  })
}

data "alicloud_images" "ubuntu" {
  owners       = "system"
  name_regex   = "^ubuntu_24_04_x64_20G_alibase_"
  architecture = "x86_64"
  most_recent  = true
}

resource "terraform_data" "ways_out" {
  input = var.ways_out
}

# The provider changes user_data in place and reboots the machine (certain: its source), but cloud-init runs a set-up once for each
# instance: without a new machine a raised version would change nothing.
resource "terraform_data" "set_up" {
  input = local.cloud_init
}

resource "alicloud_instance" "this" {
  instance_name        = "${var.name}-runner"
  host_name            = "${var.name}-runner"
  description          = "the deployment's runner"
  image_id             = data.alicloud_images.ubuntu.images[0].id
  instance_type        = coalesce(var.size.instance_type, "ecs.e-c1m2.large")
  instance_charge_type = "PostPaid"
  vswitch_id           = var.vswitch_id
  security_groups      = [var.security_group_id]
  user_data            = base64encode(local.cloud_init)
  resource_group_id    = var.resource_group_id
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

  # Without a way out its set-up, which runs once, would end.
  depends_on = [terraform_data.ways_out]

  lifecycle {
    # A newer image of the vendor must not replace the machine in the middle of a release; a change of its set-up does.
    ignore_changes       = [image_id]
    replace_triggered_by = [terraform_data.set_up]
  }
}

# The service retries until the role is there.
resource "alicloud_ecs_ram_role_attachment" "this" {
  instance_id   = alicloud_instance.this.id
  ram_role_name = var.role_name
}
