# Reads a Terraform plan as JSON and prints one line for each unsafe change. Arguments: $allowed, a list of
# addresses that may be destroyed.

# Resources with orders or keys, with a public name, or on the path of orders: destroying one loses orders, or stops them
# until it exists again.
def protected: [
  "alicloud_polardb_cluster", "alicloud_polardb_database", "alicloud_polardb_endpoint",
  "alicloud_rocketmq_instance", "alicloud_rocketmq_topic", "alicloud_rocketmq_consumer_group",
  "alicloud_rocketmq_account",
  "alicloud_oos_secret_parameter", "alicloud_ram_role",
  "alicloud_vpc", "alicloud_vswitch", "alicloud_eip_address", "alicloud_nat_gateway",
  "alicloud_cr_ee_instance", "alicloud_cr_ee_repo", "alicloud_alb_load_balancer",
  "alicloud_api_gateway_instance", "alicloud_api_gateway_group", "alicloud_api_gateway_api",
  "alicloud_api_gateway_vpc_access",
  "alicloud_fcv3_function", "alicloud_fcv3_alias", "alicloud_fcv3_trigger",
  "alicloud_sae_namespace", "alicloud_sae_application", "alicloud_log_project"
];

# Owned by the release and ignored by Terraform (ignore_changes). Not the function's own image: that is the
# version LATEST, which gets no requests.
def released: {
  "alicloud_fcv3_alias": ["version_id", "additional_version_weight"],
  "alicloud_sae_application": ["image_url"]
};

.resource_changes[]?
| . as $it
| if (.change.actions | index("delete")) and (.type as $type | protected | index($type)) and ($allowed | index($it.address) | not)
  then "\(.address): would be \(if .change.actions | index("create") then "replaced" else "destroyed" end)"
  elif .change.actions == ["update"] and released[.type]
  then released[.type][] as $name
    | select($it.change.before[$name] != null and $it.change.before[$name] != $it.change.after[$name])
    | "\($it.address): \($name) belongs to the release, not to Terraform"
  else empty end
