mock_provider "alicloud" {
  mock_data "alicloud_images" {
    defaults = { images = [{ id = "ubuntu_24_04_x64_20G_alibase_20260901.vhd" }] }
  }
}

variables {
  name              = "spillway-test"
  resource_group_id = "rg-1"
  region            = "cn-hangzhou"
  role_name         = "spillway-test-runner"
  vswitch_id        = "vsw-operators"
  ways_out          = {}
  security_group_id = "sg-operators"
  github_token_name = "spillway-test-runner-github-token"
  size = {
    github = { repository = "acme/shop" }
    runner = { version = "2.330.0", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
    cli    = { version = "3.4.11", sha256 = "0000000000000000000000000000000000000000000000000000000000000002" }
  }
}

run "the_machine_is_reached_from_nowhere_and_its_keys_need_a_token" {
  assert {
    condition     = alicloud_instance.this.internet_max_bandwidth_out == 0 && alicloud_instance.this.vswitch_id == "vsw-operators"
    error_message = "the machine must have no public address, and be in the operators' network"
  }
  assert {
    condition     = alicloud_instance.this.http_tokens == "required" && alicloud_instance.this.http_put_response_hop_limit == 1
    error_message = "metadata must need a session token and stop at the machine"
  }
  assert {
    condition     = alicloud_instance.this.system_disk_encrypted && alicloud_instance.this.password == null
    error_message = "the disk must be encrypted, and no password leads in"
  }
}

# cloud-init's own form: a first line, and YAML whose files are base64.
run "cloud_init_installs_by_checksum_and_starts_the_service" {
  assert {
    condition     = startswith(output.cloud_init, "#cloud-config\n") && can(yamldecode(output.cloud_init))
    error_message = "not a cloud-config"
  }
  assert {
    condition = (
      base64decode(yamldecode(output.cloud_init).write_files[0].content) == file("serve") &&
      yamldecode(output.cloud_init).write_files[0].permissions == "0755" &&
      strcontains(yamldecode(output.cloud_init).write_files[2].content, "ExecStart=${yamldecode(output.cloud_init).write_files[0].path}\n")
    )
    error_message = "the service must start the script of this module"
  }
  # Docker's page "Packet filtering and firewalls": the rules of DOCKER-USER come before the engine's own.
  assert {
    condition     = strcontains(yamldecode(output.cloud_init).write_files[2].content, "iptables -I DOCKER-USER -d 100.100.100.200 -j REJECT'\nExecStart=")
    error_message = "no container behind the bridge may reach the metadata"
  }
  assert {
    condition = strcontains(base64decode(yamldecode(output.cloud_init).write_files[1].content), join("\n", [
      "SCOPE=repos/acme/shop", "RUNNER_NAME=spillway-test", "RUNNER_GROUP_ID=1", "LABELS=[\"self-hosted\",\"spillway-vpc\",\"test\"]",
      "REGION=cn-hangzhou", "TOKEN_PARAMETER=spillway-test-runner-github-token",
    ]))
    error_message = "the service's settings"
  }
  assert {
    condition     = can(regex("sha256sum --check --quiet\\n(.*\\n)*.*tar -xzf cli(.*\\n)*.*tar -xzf runner", yamldecode(output.cloud_init).runcmd[0][2]))
    error_message = "both archives must be checked before they are unpacked"
  }
  assert {
    condition     = !strcontains(output.cloud_init, "AccessKey") && strcontains(output.cloud_init, "--mode EcsRamRole --ram-role-name spillway-test-runner")
    error_message = "the CLI must use the machine's role"
  }
  assert {
    condition     = alicloud_ecs_ram_role_attachment.this.ram_role_name == "spillway-test-runner"
    error_message = "the machine must have its role"
  }
}

# GitHub's REST documentation of self-hosted runners: "generate-jitconfig" of an organisation needs a token that may do no more than
# register runners; that of a repository needs a token that administers it.
run "with_a_group_of_its_own_the_machine_registers_with_the_organisation" {
  variables {
    size = {
      github = { repository = "acme/shop", runner_group_id = 3 }
      runner = { version = "2.330.0", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
      cli    = { version = "3.4.11", sha256 = "0000000000000000000000000000000000000000000000000000000000000002" }
    }
  }

  assert {
    condition     = strcontains(base64decode(yamldecode(output.cloud_init).write_files[1].content), "SCOPE=orgs/acme\nRUNNER_NAME=spillway-test\nRUNNER_GROUP_ID=3\n")
    error_message = "a group is an organisation's"
  }
}

run "bad_values_are_rejected" {
  command = plan
  variables {
    size = {
      github = { repository = "https://github.com/acme/shop" }
      runner = { version = "latest", sha256 = "none" }
      cli    = { version = "3.4.11", sha256 = "" }
    }
  }
  expect_failures = [var.size]
}
