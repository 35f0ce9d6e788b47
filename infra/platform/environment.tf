# Environments of the services. Their READMEs describe every setting.

locals {
  # Header in which the gateway writes the token's buyer.
  identity_header = "X-Spillway-User"

  # The gateway signs with the first secret; the services accept all of them.
  signing = regex("^(?P<key>[^=]+)=(?P<secret>.*)$", split(",", var.secrets.gateway)[0])
  backend_secret = {
    key    = local.signing.key
    secret = local.signing.secret
  }

  # One account, or two during a rotation: the function gets the first.
  broker_function         = { for entry in split(",", var.secrets.broker_function) : split("=", entry)[0] => regex("=(.*)$", entry)[0] }
  broker_function_account = split("=", var.secrets.broker_function)[0]

  # The services trust the identity header only with the gateway's signature.
  gateway_environment = merge(
    { SPILLWAY_GATEWAY_SECRETS = var.secrets.gateway },
    var.jwk == null ? {} : { SPILLWAY_IDENTITY_HEADER = local.identity_header },
  )

  broker_environment = {
    SPILLWAY_ROCKETMQ_ENDPOINT = module.rocketmq.endpoint
    SPILLWAY_ORDERS_TOPIC      = module.rocketmq.topic_names.orders
    SPILLWAY_LOG_FORMAT        = "json"
  }

  # No database address: the function must not connect to the database.
  function_environment = merge(local.broker_environment, local.gateway_environment, {
    SPILLWAY_ROCKETMQ_ACCESS_KEY = module.rocketmq.account_names["function-${local.broker_function_account}"]
    SPILLWAY_ROCKETMQ_SECRET_KEY = local.broker_function[local.broker_function_account]
    SPILLWAY_CATALOGUE           = var.catalogue_path
    SPILLWAY_ORDER_ID_KEYS       = var.secrets.order_id_keys
  })

  migrator_url = format("mysql://%s:%s@%s:%s/%s?ssl-mode=REQUIRED",
    module.database.account_names.migrator, urlencode(var.secrets.database_migrator),
    module.database.host_primary, module.database.port, module.database.database_name,
  )

  database_address = "${module.database.host_worker}:${module.database.port}/${module.database.database_name}"

  worker_environment = merge(local.broker_environment, local.gateway_environment, {
    SPILLWAY_ROCKETMQ_ACCESS_KEY = module.rocketmq.account_names.worker
    SPILLWAY_ROCKETMQ_SECRET_KEY = var.secrets.broker_worker
    SPILLWAY_CONSUMER_GROUP      = module.rocketmq.group_names.drain
    SPILLWAY_DEAD_LETTER_GROUP   = module.rocketmq.group_names.dead_letters
    SPILLWAY_DEAD_LETTER_TOPIC   = module.rocketmq.topic_names.dead_letters
    SPILLWAY_BROKER_RETENTION_H  = tostring(module.rocketmq.retention_h)
    SPILLWAY_DATABASE_URL = format("mysql://%s:%s@%s?ssl-mode=REQUIRED",
      module.database.account_names.worker, urlencode(var.secrets.database_worker), local.database_address,
    )
    SPILLWAY_ADMIN_TOKEN = var.secrets.admin_token
  }, var.secrets.admin_read_token == null ? {} : { SPILLWAY_ADMIN_READ_TOKEN = var.secrets.admin_read_token }, local.lag_environment)

  # Without a key nothing tells the workers; CloudMonitor's alarm watches the lag.
  lag_environment = var.secrets.lag_key == null ? { SPILLWAY_LAG_SOURCE = "none" } : {
    SPILLWAY_LAG_SOURCE           = "openapi"
    SPILLWAY_LAG_OPENAPI_URL      = "https://rocketmq-vpc.${var.region}.aliyuncs.com"
    SPILLWAY_LAG_OPENAPI_INSTANCE = module.rocketmq.instance_id
    SPILLWAY_LAG_OPENAPI_KEY      = var.secrets.lag_key
  }
}
